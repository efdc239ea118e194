#!/usr/bin/env python3
"""Records the zero-shot cases of BERT models: what Hugging Face transformers computes with them.

Two steps, both repeatable:

1. write `models/bert-nli` and `models/bert-nli-first`, tiny models with seeded random weights. The tokenizer files are
   those of the golden model `bert-emotion`; they are copied from `--tokenizer`, or kept where they are already there;
2. run the zero-shot-classification pipeline on these and on the model of `pipelines/triage.toml`, and write
   `cases/<model>/<nn>-zero-shot-classification-<label>.json`.

All weights are read as float32 whatever the dtype on disk; CPU, eager attention, one (sequence, hypothesis) pair at a
time. A case is refused unless float64 gives the same labels and scores well within the tolerance, and neighbouring
scores differ by more than twice the tolerance: the order of the labels must not hang on rounding.

Recorded with Python 3.11, transformers 5.23.0, tokenizers 0.23.3, safetensors 0.8.0, PyTorch 2.15.0, NumPy 2.4.6:

    pip install torch transformers && python tests/goldens/record.py
"""

import argparse
import json
import os
import shutil
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, logging, pipeline

TASK = "zero-shot-classification"
ATOL, RTOL = 1e-6, 1e-3
TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"]

# --- The tiny models -------------------------------------------------------------------------------------------------

HIDDEN, INTERMEDIATE, LAYERS, HEADS, VOCAB, POSITIONS = 32, 64, 2, 4, 420, 128

CONFIG = {
    "architectures": ["BertForSequenceClassification"],
    "model_type": "bert",
    "attention_probs_dropout_prob": 0.1,
    "classifier_dropout": None,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": HIDDEN,
    "initializer_range": 0.02,
    "intermediate_size": INTERMEDIATE,
    "layer_norm_eps": 1e-12,
    "max_position_embeddings": POSITIONS,
    "num_attention_heads": HEADS,
    "num_hidden_layers": LAYERS,
    "pad_token_id": 0,
    "position_embedding_type": "absolute",
    "type_vocab_size": 2,
    "use_cache": True,
    "vocab_size": VOCAB,
}


def bert_weights(seed, labels, norm=("weight", "bias")):
    """Random weights by name, wide enough that hypotheses get clearly different logits."""
    rng = np.random.default_rng(seed)
    weights = {}

    def normal(name, *shape, std=0.25, mean=0.0):
        values = mean + std * rng.standard_normal(shape)
        weights[name] = torch.from_numpy(values.astype(np.float32))

    def linear(name, outputs, inputs, std=0.25):
        normal(f"{name}.weight", outputs, inputs, std=std)
        normal(f"{name}.bias", outputs)

    def layer_norm(name):
        normal(f"{name}.{norm[0]}", HIDDEN, std=0.1, mean=1.0)
        normal(f"{name}.{norm[1]}", HIDDEN, std=0.1)

    for kind, rows in [("word", VOCAB), ("position", POSITIONS), ("token_type", 2)]:
        normal(f"bert.embeddings.{kind}_embeddings.weight", rows, HIDDEN)
    layer_norm("bert.embeddings.LayerNorm")
    for i in range(LAYERS):
        layer = f"bert.encoder.layer.{i}"
        for part in ["query", "key", "value"]:
            linear(f"{layer}.attention.self.{part}", HIDDEN, HIDDEN)
        linear(f"{layer}.attention.output.dense", HIDDEN, HIDDEN)
        layer_norm(f"{layer}.attention.output.LayerNorm")
        linear(f"{layer}.intermediate.dense", INTERMEDIATE, HIDDEN)
        linear(f"{layer}.output.dense", HIDDEN, INTERMEDIATE)
        layer_norm(f"{layer}.output.LayerNorm")
    linear("bert.pooler.dense", HIDDEN, HIDDEN)
    linear("classifier", labels, HIDDEN, std=0.7)
    return weights


def write_config(folder, labels, **form):
    """`config.json` with the classes in the order of `labels`; `form` is what tells transformers 4 from 5."""
    config = {
        **CONFIG,
        **form,
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def save(weights, file):
    save_file(weights, file, {"format": "pt"})
    file.chmod(0o644)


def write_bert_nli(folder):
    """One float32 file with old names of norms; "ENTAILMENT" in the middle, and class 0 is not contradiction."""
    labels = ["neutral", "ENTAILMENT", "contradiction"]
    write_config(folder, labels, torch_dtype="float32", transformers_version="4.46.0")
    save(bert_weights(7, len(labels), ("gamma", "beta")), folder / "model.safetensors")


def write_bert_nli_first(folder):
    """Two bfloat16 shards, and a buffer not needed; entailment is class 0, and the last is not contradiction."""
    labels = ["entailment", "contradiction", "neutral"]
    write_config(folder, labels, dtype="bfloat16", transformers_version="5.0.0")
    weights = {name: w.to(torch.bfloat16) for name, w in bert_weights(11, len(labels)).items()}
    weights["bert.embeddings.position_ids"] = torch.arange(POSITIONS)[None]
    first = ("bert.embeddings.", "bert.encoder.layer.0.")
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    weight_map = {name: files[not name.startswith(first)] for name in sorted(weights)}
    for file in files:
        save({name: weights[name] for name in weight_map if weight_map[name] == file}, folder / file)
    total = sum(w.numel() * w.element_size() for w in weights.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


# --- The cases -------------------------------------------------------------------------------------------------------
# Each: label, params, sequences, candidate_labels.

PHONE = "I have a new phone, and it does not know the city that I am in."
BANK = "After five days the doctor got an answer from the bank by email."
PARIS = "Paris is the capital of France, so the family moved there in the light of day."
ACCENTS = "Die Straße nach Łódź kostet 20 € – größer, schöner, «été» à la crème brûlée; 東京の天気 ☀️ naı̈ve ﬁn."
ENGINE = (
    "The engine was not like the new one, and nobody could fix it for two hours; "
    "every question got a better answer. "
)
TOPICS = ["sports", "politics", "science"]

TINY = [
    ("single", {}, PHONE, ["phone", "email", "bank", "not urgent", "family"]),
    ("multi", {"multi_label": True}, PHONE, ["phone", "email", "bank", "not urgent", "family"]),
    ("batch", {"hypothesis_template": "This text is about {}."}, [PHONE, BANK, PARIS], TOPICS),
    ("batch-multi", {"multi_label": True, "hypothesis_template": "Is it {}?"}, [BANK, PARIS], TOPICS),
    ("string", {}, BANK, " sports, politics,, science ,"),
    ("one-label", {}, PARIS, ["sports"]),
    ("bad-template", {"hypothesis_template": "This example is nothing."}, BANK, TOPICS),
    ("truncated", {}, ENGINE * 8, ["engine", "answer", "question"]),
    ("non-ascii", {"hypothesis_template": "Es geht um {}."}, ACCENTS, ["straße", "crème", "天気", "weather"]),
    ("no-labels", {}, BANK, []),
    ("hypothesis-too-long", {}, BANK, ["science", "an answer to the question of the day " * 20]),
]

SUPPORT = {"hypothesis_template": "This support ticket is about {}."}
ROUTES = ["billing", "bug report", "feature request", "account access", "other"]
REFUND = (
    "We cancelled in May but our card was charged again on 2 June. "
    "Please refund the payment and send a credit note."
)
TICKETS = [
    REFUND,
    "The calendar view crashes with a blank page whenever I drag an event across midnight. Chrome 126, Windows 11.",
    "It would be great if you could add keyboard shortcuts for moving cards between columns.",
    "My colleague left and I need to take over her login, but the password reset mail goes to her old address.",
    "Just wanted to say your team did a lovely job at the conference in Ghent last week!",
    "hi, two things: the invoice shows the old company name, AND the download button does nothing when I click it",
]
UMLAUTS = (
    "Grüße aus Köln! Our invoice shows 1.250,00 € twice – once for “Bürobedarf”, once for café Zoë ☕. "
    "请退款, merci à tous."
)
CHATTER = (
    "Hello everyone, I hope you are all having a pleasant week over there. Before I come to the point, let me say"
    " how we work: there are nine of us in a small office above the bakery, we plan our deliveries on Monday "
    "morning, we look at the board again on Wednesday, and on Friday somebody tidies it up while the kettle "
    "boils. My colleague Ines keeps the list of drivers, I keep the list of customers, and our trainee writes "
    "down what went wrong so that we can laugh about it at the end of the month. The weather has been kind to us "
    "and the new van is a joy. "
)
LOCKED = "Now to the point: since yesterday none of us can sign in, the password is refused and my account is locked. "
BROKEN = "The export button crashes the app with an error message every time somebody clicks on it. "

TRIAGE = [
    ("single", {}, REFUND, ["payment", "refund", "travel", "password", "weather"]),
    ("multi", {**SUPPORT, "multi_label": True}, TICKETS[5], ROUTES),
    ("batch", SUPPORT, TICKETS, ROUTES),
    ("batch-multi", {**SUPPORT, "multi_label": True}, TICKETS[1:4], ROUTES[:3]),
    ("string", SUPPORT, TICKETS[3], "billing, bug report,feature request , account access,"),
    ("one-label", SUPPORT, TICKETS[2], ["feature request"]),
    ("bad-template", {"hypothesis_template": "This support ticket is about something."}, REFUND, ROUTES),
    # Longer than the 112 tokens that tokenizer.json truncates to by itself, shorter than model_max_length: kept whole.
    ("longer-than-112", SUPPORT, CHATTER + LOCKED, ROUTES),
    # Cut to model_max_length, 512 tokens with the hypothesis; the first 112 would make it a bug report.
    ("truncated", SUPPORT, BROKEN * 14 + LOCKED * 20, ROUTES),
    ("non-ascii", SUPPORT, UMLAUTS, ROUTES),
    ("no-labels", SUPPORT, REFUND, []),
]


class Recorder:
    """One model folder, in float32 and float64."""

    def __init__(self, folder):
        tokenizer = AutoTokenizer.from_pretrained(folder)

        def load(dtype):
            model, loaded = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
            )
            if loaded["missing_keys"] or loaded["mismatched_keys"]:
                raise SystemExit(f"{folder}: {loaded}")
            return pipeline(TASK, model=model.to(dtype).eval(), tokenizer=tokenizer, device="cpu")

        self.single, self.double = load(torch.float32), load(torch.float64)

    def expected(self, params, sequences, labels):
        try:
            result = self.single(sequences, candidate_labels=labels, **params)
        except (ValueError, IndexError, RuntimeError) as error:
            return {"error": str(error)}
        check(result, self.double(sequences, candidate_labels=labels, **params))
        return {"result": result, "entailment_id": self.single.entailment_id}


def check(single, double):
    """Refuses results that hang on rounding, and rounds the scores to 9 digits."""
    if isinstance(single, list):
        for pair in zip(single, double, strict=True):
            check(*pair)
        return
    if single["labels"] != double["labels"]:
        raise SystemExit(f"the order of the labels hangs on rounding: {single} {double}")
    scores = single["scores"]
    for x, y in zip(scores, double["scores"], strict=True):
        if abs(x - y) > 0.1 * (ATOL + RTOL * abs(x)):
            raise SystemExit(f"imprecise score {x}, in float64 {y}: {single}")
    for x, y in zip(scores, scores[1:]):
        if x - y <= 2 * (ATOL + RTOL * x):
            raise SystemExit(f"neighbouring scores too close to tell apart: {single}")
    single["scores"] = [float(f"{x:.9g}") for x in scores]


def write_case(file, case):
    """The layout of the other goldens: a key per line, the input and the result on one line each."""

    def line(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    expected = ",\n".join(f'  "{key}": {line(value)}' for key, value in case["expected"].items())
    fields = {key: line(value) for key, value in case.items()} | {"expected": "{\n" + expected + "\n }"}
    text = ",\n".join(f' "{key}": {value}' for key, value in fields.items())
    file.write_text("{\n" + text + "\n}\n", encoding="utf-8")


def record(goldens, name, model, folder, cases):
    """Writes the cases of one model in place of the zero-shot cases there; `model` is the field of the case."""
    recorder = Recorder(folder)
    out = goldens / "cases" / name
    files = {}
    for number, (label, params, sequences, labels) in enumerate(cases, 1):
        file = out / f"{number:02}-{TASK}-{label}.json"
        files[file] = {
            "id": f"{name}/{file.stem}",
            "model": model,
            "task": TASK,
            "params": params,
            "input": {"sequences": sequences, "candidate_labels": labels},
            "expected": recorder.expected(params, sequences, labels),
            "atol": ATOL,
            "rtol": RTOL,
        }

    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob(f"*-{TASK}-*.json"):
        old.unlink()
    for file, case in files.items():
        write_case(file, case)
        print(file.relative_to(goldens))


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Record the zero-shot cases of BERT models with transformers.")
    parser.add_argument("--goldens", type=Path, default=here, help="folder of models/ and cases/ (default: this one)")
    parser.add_argument("--tokenizer", type=Path, help="folder to copy the tokenizer files of the tiny models from")
    parser.add_argument(
        "--triage",
        type=Path,
        default=here / "../../pipelines/models/triage-nli",
        help="folder of the model of pipelines/triage.toml (default: in the repository)",
    )
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    logging.set_verbosity_error()
    logging.disable_progress_bar()

    for name, write in [("bert-nli", write_bert_nli), ("bert-nli-first", write_bert_nli_first)]:
        folder = args.goldens / "models" / name
        folder.mkdir(parents=True, exist_ok=True)
        for file in TOKENIZER_FILES:
            if args.tokenizer:
                shutil.copyfile(args.tokenizer / file, folder / file)
        write(folder)
        record(args.goldens, name, f"models/{name}", folder, TINY)
    record(args.goldens, "triage-nli", "../../pipelines/models/triage-nli", args.triage, TRIAGE)


if __name__ == "__main__":
    main()
