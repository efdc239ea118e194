#!/usr/bin/env python3
"""Records what your own Python setup computes, so that `runtime verify` can compare the runtime with it.

    python tests/record.py --model org/name --task text-classification --input texts.jsonl --out DIR \\
        [--param top_k=3 ...] [--name NAME] [--atol 1e-4] [--rtol 1e-4]
    runtime verify DIR

The model is saved into DIR/models/NAME (by `save_pretrained`, in float32, as safetensors) and then loaded from there, so
that both programs read the same files; a folder that is there already is used as it is. Each line of the input is one
case, in DIR/cases/NAME and in DIR/index.json: a JSON string, or an object with the fields of the task's input. More
runs, of other tasks, models or parameters, add to the same DIR. Where Python fails, the case expects a failure.

    task                       fields (a bare string is the first)         library
    text-classification        text, text_pair                             transformers
    zero-shot-classification   sequences, candidate_labels                 transformers
    token-classification       text                                        transformers
    question-answering         question, context                           transformers 4 (5 has no such pipeline)
    fill-mask                  text                                        transformers
    feature-extraction         text, text_pair                             transformers
    hidden-states              texts, text_pairs                           transformers
    sentence-embedding         texts                                       sentence-transformers
    similarity                 text, text_pair                             sentence-transformers
    rerank                     query, documents                            sentence-transformers

Parameters are those of the pipeline, as NAME=VALUE; a value is JSON where it can be, else a text. The schema of the cases
is in tests/goldens/README.md. Needs torch and transformers; the last three tasks also need sentence-transformers.
"""

import argparse
import json
from pathlib import Path

import torch
import transformers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

CLASSES = {
    "text-classification": "AutoModelForSequenceClassification",
    "zero-shot-classification": "AutoModelForSequenceClassification",
    "token-classification": "AutoModelForTokenClassification",
    "question-answering": "AutoModelForQuestionAnswering",
    "fill-mask": "AutoModelForMaskedLM",
    "feature-extraction": "AutoModel",
    "hidden-states": "AutoModel",
}
SENTENCE_TASKS = ["sentence-embedding", "similarity", "rerank"]
FIRST_FIELD = {
    "zero-shot-classification": "sequences",
    "question-answering": "context",
    "hidden-states": "texts",
    "sentence-embedding": "texts",
    "rerank": "query",
}


def plain(value):
    """Numbers of numpy and torch as Python's, so that they can be written."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float) and value == float("-inf"):
        return None
    return value


class Transformers:
    """The pipelines of transformers, and the base model."""

    def __init__(self, task, folder):
        self.task = task
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = load(task, folder)
        if task != "hidden-states":
            self.pipe = transformers.pipeline(task, model=self.model, tokenizer=self.tokenizer, device="cpu")

    def expected(self, fields, params):
        return getattr(self, self.task.replace("-", "_"))(fields, params)

    def text_classification(self, fields, params):
        # With a dictionary and without `top_k`, the pipeline gives the label without a list.
        result = self.pipe(dict(fields), truncation=True, **params)
        inputs = self.tokenizer(**fields, truncation=True, return_tensors="pt")
        logits = self.model(**inputs).logits[0]
        return {"result": result if isinstance(result, list) else [result], "logits": logits}

    def zero_shot_classification(self, fields, params):
        labels = {"candidate_labels": fields["candidate_labels"]} if "candidate_labels" in fields else {}
        result = self.pipe(fields["sequences"], **labels, **params)
        return {"result": result, "entailment_id": self.pipe.entailment_id}

    def token_classification(self, fields, params):
        return {"result": self.pipe(fields["text"], **params)}

    def question_answering(self, fields, params):
        return {"result": self.pipe(question=fields["question"], context=fields["context"], **params)}

    def fill_mask(self, fields, params):
        return {"result": self.pipe(fields["text"], **params)}

    def feature_extraction(self, fields, params):
        pair = {"text_pair": fields["text_pair"]} if "text_pair" in fields else {}
        return {"result": self.pipe(fields["text"], tokenize_kwargs={"truncation": True, **pair}, **params)}

    def hidden_states(self, fields, params):
        pairs = {"text_pair": fields["text_pairs"]} if "text_pairs" in fields else {}
        batch = self.tokenizer(fields["texts"], **pairs, padding=True, truncation=True, return_tensors="pt")
        model = self.model.get_encoder() if self.model.config.is_encoder_decoder else self.model
        states = model(**batch).last_hidden_state
        results = []
        for ids, mask, rows in zip(batch["input_ids"], batch["attention_mask"].bool(), states):
            rows, wide = rows[mask], rows[mask].double()
            stats = {
                "mean": wide.mean(),
                "std": wide.std(correction=0),
                "min": wide.min(),
                "max": wide.max(),
                "abs_sum": wide.abs().sum(),
            }
            shape = list(rows.shape)
            results.append({"input_ids": ids[mask], "shape": shape, "first8": rows[:, :8], "stats": stats})
        return {"results": results}


class Sentences:
    """sentence-transformers, with the settings that the model's folder has."""

    def __init__(self, task, folder):
        self.task = task
        self.model = load(task, folder)

    def expected(self, fields, params):
        # Not an argument there: it says that the folder's files are followed.
        params = {name: value for name, value in params.items() if name != "sentence_transformers"}
        if self.task == "rerank":
            ranked = self.model.rank(fields["query"], fields["documents"], return_documents=True, **params)
            return {"result": ranked}
        names = {"normalize": "normalize_embeddings"}
        params = {names.get(name, name): value for name, value in params.items()}
        if self.task == "similarity":
            first, second = self.model.encode([fields["text"], fields["text_pair"]], **params)
            return {"result": self.model.similarity(first, second)[0][0]}
        vectors = self.model.encode(fields["texts"], convert_to_tensor=True, **params)
        cosines = torch.nn.functional.cosine_similarity(vectors[:, None], vectors[None], dim=-1)
        return {"embeddings": vectors, "cosine_similarity": cosines}


def load(task, model):
    if task in SENTENCE_TASKS:
        import sentence_transformers

        kind = sentence_transformers.CrossEncoder if task == "rerank" else sentence_transformers.SentenceTransformer
        return kind(str(model), device="cpu", model_kwargs={"dtype": torch.float32})
    kind = getattr(transformers, CLASSES[task])
    model = kind.from_pretrained(model, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def save(task, source, folder):
    """The model's folder as published on a hub."""
    folder.mkdir(parents=True)
    model = load(task, source)
    model.save_pretrained(str(folder))
    if task not in SENTENCE_TASKS:
        transformers.AutoTokenizer.from_pretrained(source).save_pretrained(folder)


def read_input(path, task):
    first = FIRST_FIELD.get(task, "text")
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            value = json.loads(line)
            fields = value if isinstance(value, dict) else {first: value}
            if isinstance(fields.get("texts"), str):
                fields["texts"] = [fields["texts"]]
            yield fields


def parameter(text):
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"`{text}` is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a model of the hub, or a folder")
    parser.add_argument("--task", required=True, choices=[*CLASSES, *SENTENCE_TASKS])
    parser.add_argument("--input", required=True, type=Path, help="JSON Lines, a case on each")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--param", action="append", default=[], type=parameter, metavar="NAME=VALUE")
    parser.add_argument("--name", help="of the model's folder in DIR [default: the last part of --model]")
    parser.add_argument("--atol", type=float, default=1e-4)
    parser.add_argument("--rtol", type=float, default=1e-4)
    args = parser.parse_args()

    name = args.name or Path(args.model).name
    folder = args.out / "models" / name
    if not folder.exists():
        save(args.task, args.model, folder)
    subject = (Sentences if args.task in SENTENCE_TASKS else Transformers)(args.task, folder)
    params = dict(args.param)
    if args.task in ("sentence-embedding", "similarity"):
        params["sentence_transformers"] = True

    index_file = args.out / "index.json"
    index = json.loads(index_file.read_text()) if index_file.exists() else []
    number = sum(entry["model"] == f"models/{name}" for entry in index)
    for number, fields in enumerate(read_input(args.input, args.task), number + 1):
        try:
            with torch.no_grad():
                expected = plain(subject.expected(fields, params))
        except Exception as error:  # Whatever it is: the call fails there.
            print(f"recorded to fail: {error}")
            expected = {"error": str(error)}
        case = f"{name}/{number:02}-{args.task}"
        entry = {"id": case, "model": f"models/{name}", "task": args.task}
        body = {"params": params, "input": fields, "expected": expected, "atol": args.atol, "rtol": args.rtol}
        file = args.out / "cases" / f"{case}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({**entry, **body}, ensure_ascii=False) + "\n", encoding="utf-8")
        index.append({**entry, "file": f"cases/{case}.json"})
    index_file.write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index)} cases in {args.out}")


if __name__ == "__main__":
    main()
