"""Records what Hugging Face transformers computes with a tiny BLOOM, which `tests/bloom.rs` compares with the plugin.

    python -m venv venv && venv/bin/pip install torch transformers==5.23.0
    venv/bin/python tests/bloom/record.py

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
    # A number of heads that is no power of two, whose slopes come of two sequences.
    config = hf.BloomConfig(
        vocab_size=len(tokenizer), hidden_size=48, n_layer=3, n_head=6, pad_token_id=None, bos_token_id=None,
        eos_token_id=None, use_cache=True,
    )
    folder = HERE / "model"
    shutil.rmtree(folder, ignore_errors=True)
    model = hf.BloomForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # Large weights and small biases, or the same token follows every other.
            is_norm = weight.dim() == 1 and name.endswith("weight")
            weight.normal_(1.0 if is_norm else 0.0, 0.05 if name.endswith("bias") else 0.5)
    model.bfloat16().save_pretrained(folder)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(TOKENIZER / name, folder / name)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = hf.BloomForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    forward, generated = [], []
    for length in [1, 3, 7, 75, 200]:
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
