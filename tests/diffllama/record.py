"""Records what Hugging Face transformers computes with a tiny DiffLlama, which `tests/diffllama.rs` compares with the plugin.

    python -m venv venv && venv/bin/pip install torch transformers==5.23.0
    venv/bin/python tests/diffllama/record.py

`model/` is the model, with seeded random weights and the tokenizer of another tiny model; `recorded.json` has rows of its
hidden states and logits, and the tokens that it generates.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers as hf

HERE = Path(__file__).parent
TOKENIZER = HERE.parent / "goldens/models/gpt2"
PROMPTS = ["In the beginning", "a", "Once upon a time, there was a young engineer who had read all of the books in the house"]
GENERATE = [
    {"max_new_tokens": 40},
    {"max_new_tokens": 40, "repetition_penalty": 1.3},
    {"max_new_tokens": 24, "num_beams": 3, "num_return_sequences": 2},
    {"max_new_tokens": 36, "num_beams": 2, "length_penalty": 0.5},
]


def digits(rows):
    return [[float(f"{x:.7g}") for x in row] for row in rows]


def main():
    torch.manual_seed(7)
    tokenizer = hf.AutoTokenizer.from_pretrained(TOKENIZER)
    # Grouped heads of another size than hidden_size / heads, biases, and lambdas far from those of an untrained model.
    config = hf.DiffLlamaConfig(
        vocab_size=len(tokenizer), hidden_size=24, intermediate_size=40, num_hidden_layers=3, num_attention_heads=8,
        num_key_value_heads=4, head_dim=6, attention_bias=True, max_position_embeddings=512, lambda_std_dev=0.5,
        pad_token_id=None, bos_token_id=None, eos_token_id=None, use_cache=True,
    )
    folder = HERE / "model"
    shutil.rmtree(folder, ignore_errors=True)
    model = hf.DiffLlamaForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):
                weight.add_(torch.randn_like(weight) * 0.3)
            elif "lambda" not in name:
                weight.normal_(0, 0.4)
    model.bfloat16().save_pretrained(folder)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(TOKENIZER / name, folder / name)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = hf.DiffLlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    forward, generated = [], []
    for length in [1, 3, 7, 75]:
        ids = [(5 * i * i + 3 * i + 2) % config.vocab_size for i in range(length)]
        with torch.no_grad():
            found = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
        rows = sorted({0, length // 2, length - 1})
        forward.append({
            "input_ids": ids,
            "rows": rows,
            "hidden_states": digits(found.hidden_states[-1][0, rows].tolist()),
            "logits": digits(found.logits[0, rows].tolist()),
        })
    for prompt in PROMPTS:
        ids = tokenizer(prompt).input_ids
        for params in GENERATE:
            with torch.no_grad():
                found = model.generate(torch.tensor([ids]), do_sample=False, pad_token_id=0, **params)
            generated.append({"input_ids": ids, "params": params, "tokens": found[:, len(ids):].tolist()})
    recorded = {"forward": forward, "generated": generated}
    (HERE / "recorded.json").write_text(json.dumps(recorded, separators=(",", ":")))


main()
