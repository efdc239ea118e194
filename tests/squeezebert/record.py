"""Records what Hugging Face transformers computes with a tiny SqueezeBERT, which `tests/squeezebert.rs` compares with the
plugin.

    python -m venv venv && venv/bin/pip install torch transformers==5.23.0
    venv/bin/python tests/squeezebert/record.py

`model/` is the model, with seeded random weights for all of its heads and the tokenizer of another tiny model;
`recorded.json` has rows of its hidden states, the logits of each head, and results of pipelines.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers as hf
from safetensors.torch import save_file

HERE = Path(__file__).parent
TOKENIZER = HERE.parent / "goldens/models/bert-mlm"
HEADS = {
    "sequence_classification": hf.SqueezeBertForSequenceClassification,
    "token_classification": hf.SqueezeBertForTokenClassification,
    "question_answering": hf.SqueezeBertForQuestionAnswering,
    "masked_lm": hf.SqueezeBertForMaskedLM,
}
TASKS = [
    ("text-classification", "sequence_classification", ["I was charged twice.", "a"]),
    ("fill-mask", "masked_lm", ["I was [MASK] twice.", "the [MASK]"]),
]


def digits(rows):
    return [[float(f"{x:.7g}") for x in row] for row in rows]


def main():
    torch.manual_seed(9)
    tokenizer = hf.AutoTokenizer.from_pretrained(TOKENIZER)
    # Other groups for each convolution, one among them, so that none can stand for another.
    config = hf.SqueezeBertConfig(
        vocab_size=len(tokenizer), hidden_size=24, embedding_size=24, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=96, q_groups=2, k_groups=4, v_groups=3, post_attention_groups=1,
        intermediate_groups=6, output_groups=8, layer_norm_eps=1e-5, pad_token_id=tokenizer.pad_token_id,
        id2label={0: "billing", 1: "bug", 2: "other"}, label2id={"billing": 0, "bug": 1, "other": 2},
    )
    tensors = {}
    for head, kind in HEADS.items():
        # The head for answers has two outputs, whatever the labels are.
        if head == "question_answering":
            model = kind(hf.SqueezeBertConfig(**{**config.to_dict(), "id2label": {0: "start", 1: "end"}}))
        else:
            model = kind(config)
        for name, weight in model.state_dict().items():
            if name not in tensors:
                centre = 1.0 if name.lower().endswith("layernorm.weight") else 0.0
                tensors[name] = (centre + torch.randn_like(weight) * 0.35).bfloat16()
    # The output layer of the words is tied to their table, and so is its bias to another.
    tensors = {name: weight for name, weight in tensors.items() if not name.startswith("cls.predictions.decoder")}
    folder = HERE / "model"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    config.architectures = ["SqueezeBertForMaskedLM"]
    config.save_pretrained(folder)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(TOKENIZER / name, folder / name)

    load = {"dtype": torch.float32, "attn_implementation": "eager"}
    models = {}
    for head, kind in HEADS.items():
        labels = {"num_labels": 2} if head == "question_answering" else {}
        models[head] = kind.from_pretrained(folder, **load, **labels).eval()
    forward = []
    for length, first in [(1, 1), (3, 3), (7, 4), (75, 40)]:
        ids = [(5 * i * i + 3 * i + 2) % config.vocab_size for i in range(length)]
        types = [0] * first + [1] * (length - first)
        inputs = {"input_ids": torch.tensor([ids]), "token_type_ids": torch.tensor([types])}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        rows = sorted({0, length // 2, length - 1})
        with torch.no_grad():
            found = {head: model(**inputs) for head, model in models.items()}
            hidden = models["masked_lm"].transformer(**inputs).last_hidden_state
        answers = found["question_answering"]
        forward.append({
            "input_ids": ids,
            "token_type_ids": types,
            "rows": rows,
            "hidden_states": digits(hidden[0, rows].tolist()),
            "sequence_classification": digits(found["sequence_classification"].logits.tolist()),
            "token_classification": digits(found["token_classification"].logits[0, rows].tolist()),
            "question_answering": digits(torch.stack([answers.start_logits, answers.end_logits], -1)[0, rows].tolist()),
            "masked_lm": digits(found["masked_lm"].logits[0, rows].tolist()),
        })
    tasks = []
    for task, head, texts in TASKS:
        pipeline = hf.pipeline(task, model=models[head], tokenizer=tokenizer, device="cpu")
        for text in texts:
            tasks.append({"task": task, "class": HEADS[head].__name__, "text": text, "result": pipeline(text, top_k=3)})
    (HERE / "recorded.json").write_text(json.dumps({"forward": forward, "tasks": tasks}, separators=(",", ":")))


main()
