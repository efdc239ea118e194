#!/usr/bin/env python3
"""Writes the tiny models `sentence-new` and `sentence-old`, and records what sentence-transformers makes of them and of
the golden model `bert-reranker`.

Between them they have every mode of pooling, both forms of the files, and every kind of module. The tokenizer is that of
the golden model `bert-embed`. Recorded with sentence-transformers 6.2.0, transformers 5.23.0, PyTorch 2.15.0:

    pip install torch transformers sentence-transformers && python tests/goldens/record_sentences.py
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn
from transformers import AutoTokenizer, BertConfig, BertModel

HERE = Path(__file__).parent
HIDDEN = 16
LONG = "Marie Curie was born in Warsaw, and she won two Nobel prizes! The quick brown fox jumps over the lazy dog."
TEXTS = {"texts": ["The weather today is sunny.", "Hello World", LONG, "É tôt.", ""]}
PAIR = {"text": "The library opens at nine in the morning.", "text_pair": "HELLO world"}
QUERY = {
    "query": "How many people live in the city?",
    "documents": ["About two million people.", "The quick brown fox.", LONG * 8, "Hello"],
}


def bert(folder, seed):
    """A BERT of one layer, with its tokenizer."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=420,
        hidden_size=HIDDEN,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    model = BertModel(config, add_pooling_layer=False)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    for norm in (module for module in model.modules() if isinstance(module, nn.LayerNorm)):
        nn.init.normal_(norm.weight, mean=1.0, std=0.1)
    model.half().save_pretrained(folder)
    AutoTokenizer.from_pretrained(HERE / "models/bert-embed").save_pretrained(folder)


def write_new(folder):
    """The form of sentence-transformers 6, with prompts that are left out of the pooling."""
    with tempfile.TemporaryDirectory() as transformer:
        bert(transformer, 3)
        modes = ["weightedmean", "lasttoken", "mean_sqrt_len_tokens"]
        modules = [
            Transformer(transformer, max_seq_length=24, do_lower_case=True),
            Pooling(HIDDEN, modes, include_prompt=False),
            Dense(len(modes) * HIDDEN, 24, bias=False, activation_function=nn.GELU(), use_residual=True),
            Dense(24, 24, activation_function=nn.Identity(), use_residual=True),
            Normalize(),
        ]
        prompts = {"query": "The question is: ", "document": ""}
        settings = {"prompts": prompts, "default_prompt_name": "query", "similarity_fn_name": "euclidean"}
        model = SentenceTransformer(modules=modules, truncate_dim=20, device="cpu", **settings)
        model.save(str(folder), create_model_card=False)


def write_old(folder):
    """The form of versions 0 to 2, with the transformer in a folder of its own and modes as flags."""
    bert(folder / "0_Transformer", 4)
    modules = ["Transformer", "Pooling", "Dense", "Dropout"]
    entry = {"max_seq_length": 16, "do_lower_case": False}
    flags = {"cls_token": True, "mean_tokens": True, "max_tokens": True, "mean_sqrt_len_tokens": False}
    configs = {
        "0_Transformer/sentence_bert_config.json": entry,
        "1_Pooling/config.json": {
            "word_embedding_dimension": HIDDEN,
            **{f"pooling_mode_{mode}": on for mode, on in flags.items()},
        },
        "2_Dense/config.json": {
            "in_features": 3 * HIDDEN,
            "out_features": 8,
            "bias": True,
            "activation_function": "torch.nn.modules.activation.Tanh",
        },
        "3_Dropout/config.json": {"dropout": 0.5},
        "modules.json": [
            {"idx": idx, "name": str(idx), "path": f"{idx}_{name}", "type": f"sentence_transformers.models.{name}"}
            for idx, name in enumerate(modules)
        ],
    }
    for name, config in configs.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(config, indent=2) + "\n")
    torch.manual_seed(5)
    dense = Dense(3 * HIDDEN, 8)
    dense.save_torch_weights(str(folder / "2_Dense"))


def record(model, task, case, *params):
    """One case, by the script that users have."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.write(json.dumps(case) + "\n")
        file.flush()
        script = HERE.parent / "record.py"
        command = [sys.executable, script, "--model", model, "--task", task, "--input", file.name, "--out", HERE]
        subprocess.run([*command, *(f"--param={param}" for param in params)], check=True)


def main():
    for name, write in {"sentence-new": write_new, "sentence-old": write_old}.items():
        for folder in [HERE / "models" / name, HERE / "cases" / name]:
            shutil.rmtree(folder, ignore_errors=True)
        write(HERE / "models" / name)
    for file in HERE.glob("models/sentence-*/**/*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    record("sentence-new", "sentence-embedding", TEXTS)
    record("sentence-new", "sentence-embedding", TEXTS, "prompt_name=document")
    record("sentence-new", "sentence-embedding", TEXTS, 'prompt="So: "', "truncate_dim=5", "normalize=true")
    record("sentence-new", "sentence-embedding", TEXTS, "prompt_name=nothing")
    record("sentence-new", "similarity", PAIR)
    record("sentence-old", "sentence-embedding", TEXTS)
    record("sentence-old", "similarity", PAIR)
    record("sentence-old", "similarity", PAIR, "normalize=true")
    record("bert-reranker", "rerank", QUERY)
    record("bert-reranker", "rerank", QUERY, "top_k=2")
    # The index is for those who look for the cases elsewhere.
    (HERE / "index.json").unlink()


if __name__ == "__main__":
    main()
