#!/usr/bin/env python3
"""Records what `generate` and the text-generation pipeline of Hugging Face transformers say with a tiny chat model.

Two steps, both repeatable: write `models/llama-chat`, a tiny Llama with seeded random weights and the tokenizer files of
`models/mistral`; then run the calls below, and write `cases/llama-chat/<nn>-<task>-<label>.json`.

Nothing is drawn. A case is refused unless float64 says the same.

Recorded with Python 3.11, transformers 5.23.0, PyTorch 2.15.0:

    pip install torch transformers && python tests/goldens/record_generation.py
"""

import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, logging, pipeline

HERE = Path(__file__).parent
NAME = "llama-chat"
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]
PROMPT = "The capital of France is"
HELLO = {"role": "user", "content": "Hello, how are you?"}
TURNS = [HELLO, {"role": "assistant", "content": "Fine."}, {"role": "user", "content": "And now?"}]
BRIEF = {"role": "system", "content": "Be brief."}

# Task, label, parameters, input.
CASES = [
    ("generate", "greedy", {"max_new_tokens": 24}, {"texts": [PROMPT]}),
    ("generate", "beams", {"max_new_tokens": 12, "num_beams": 3, "num_return_sequences": 2}, {"texts": [PROMPT]}),
    ("generate", "penalty", {"max_new_tokens": 16, "repetition_penalty": 1.4}, {"texts": [PROMPT]}),
    ("text-generation", "text", {"max_new_tokens": 24}, {"text": PROMPT}),
    ("text-generation", "chat", {"max_new_tokens": 16}, {"messages": [HELLO]}),
    ("text-generation", "chat-turns", {"max_new_tokens": 16}, {"messages": TURNS}),
    ("text-generation", "chat-system", {"max_new_tokens": 16}, {"messages": [BRIEF, HELLO]}),
]


def write_model():
    folder = HERE / "models" / NAME
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=560, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, max_position_embeddings=256, initializer_range=0.4, bos_token_id=1, eos_token_id=2,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).bfloat16().save_pretrained(folder)
    for name in TOKENIZER_FILES:
        shutil.copy(HERE / "models" / "mistral" / name, folder / name)


def answer(dtype, task, params, given):
    folder = HERE / "models" / NAME
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    if task == "text-generation":
        text = given.get("text") or given["messages"]
        return {"result": pipeline(task, model, tokenizer=tokenizer)(text, do_sample=False, **params)}
    batch = tokenizer(given["texts"], return_tensors="pt", padding=True, padding_side="left")
    with torch.no_grad():
        found = model.generate(**batch, return_dict_in_generate=True, output_scores=True, do_sample=False, **params)
    new = found.sequences[:, batch["input_ids"].shape[1] :]
    expected = {
        "input_ids": batch["input_ids"].tolist(),
        "attention_mask": batch["attention_mask"].tolist(),
        "sequences": found.sequences.tolist(),
        "texts": tokenizer.batch_decode(new, skip_special_tokens=True, clean_up_tokenization_spaces=False),
    }
    if params.get("num_beams", 1) > 1:
        expected["sequences_scores"] = [float(f"{score:.7g}") for score in found.sequences_scores.tolist()]
    return expected


def main():
    logging.set_verbosity_error()
    write_model()
    cases = HERE / "cases" / NAME
    shutil.rmtree(cases, ignore_errors=True)
    cases.mkdir(parents=True)
    for number, (task, label, params, given) in enumerate(CASES, 1):
        name = f"{number:02}-{task}-{label}"
        expected = answer(torch.float32, task, params, given)
        exact = answer(torch.float64, task, params, given)
        exact.pop("sequences_scores", None)
        assert all(expected[key] == value for key, value in exact.items()), name
        case = {"id": f"{NAME}/{name}", "model": f"models/{NAME}", "task": task, "params": params, "input": given}
        case |= {"expected": expected, "atol": 1e-4, "rtol": 1e-4}
        (cases / f"{name}.json").write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n")


main()
