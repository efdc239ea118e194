"""Records what PEFT computes with LoRA adapters of every kind on the tiny models of `tests/families`.

    python -m venv venv && venv/bin/pip install torch transformers==5.23.0 peft==0.21.2
    venv/bin/python tests/adapters/record.py

Each folder beside this script is one adapter as PEFT saves it, with seeded random numbers, and `case.json`: the base,
token ids, and the logits of two rows with the adapter active and after `merge_and_unload`. All is computed in float32.
"""

import json
import shutil
import warnings
from pathlib import Path

import peft
import torch
import transformers as hf
from peft import LoraConfig, PeftModel

HERE = Path(__file__).parent
FAMILIES = HERE.parent / "families"
IDS = [7, 3, 1, 11, 0, 39, 2, 30, 17, 5, 5, 21]
LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
CONV1D = ["c_attn", "c_proj", "c_fc"]

# Name, base, arguments of LoraConfig.
ADAPTERS = [
    (
        "patterns",
        "llama-causallm",
        dict(
            r=3, lora_alpha=5, target_modules=LINEAR, rank_pattern={r"layers\.0\.self_attn\.q_proj": 2, "o_proj": 1},
            alpha_pattern={r"layers\.1\..*_proj": 2, "q_proj": 9},
        ),
    ),
    ("rslora-biases", "llama-causallm", dict(r=4, lora_alpha=3, target_modules=["q_proj", "up_proj"], use_rslora=True, bias="all")),
    ("lora-bias", "llama-causallm", dict(r=2, lora_alpha=3, target_modules=["q_proj", "down_proj"], lora_bias=True)),
    ("dora", "llama-causallm", dict(r=2, lora_alpha=4, target_modules=LINEAR, use_dora=True)),
    ("embeddings", "mistral-causallm", dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "lm_head", "v_proj"])),
    ("embeddings-dora", "mistral-causallm", dict(r=2, lora_alpha=4, target_modules=["embed_tokens", "v_proj"], use_dora=True)),
    ("saved", "mistral-causallm", dict(r=2, lora_alpha=4, target_modules=["v_proj"], modules_to_save=["lm_head", "norm"])),
    ("tokens", "mistral-causallm", dict(r=2, lora_alpha=4, target_modules=["v_proj"], trainable_token_indices=[3, 39])),
    ("conv1d", "gpt2-lmheadmodel", dict(r=2, lora_alpha=4, target_modules=CONV1D, fan_in_fan_out=True)),
    # PEFT finds out by itself how these weights are stored.
    ("conv1d-dora", "gpt2-lmheadmodel", dict(r=2, lora_alpha=4, target_modules=CONV1D + ["wte"], use_dora=True)),
    ("classifier", "bert-model", dict(r=2, lora_alpha=4, target_modules=["query", "value"], task_type="SEQ_CLS")),
]


def load(base):
    config = hf.AutoConfig.from_pretrained(FAMILIES / base)
    name = {"bert-model": "BertForSequenceClassification"}.get(base, config.architectures[0])
    more = {"num_labels": 3} if base == "bert-model" else {}
    return getattr(hf, name).from_pretrained(FAMILIES / base, dtype=torch.float32, **more).eval()


def output(model):
    ids = torch.tensor([IDS])
    with torch.no_grad():
        found = model(input_ids=ids).logits
    found = found[0, [1, len(IDS) - 2]] if found.dim() == 3 else found
    return [[float(f"{x:.7g}") for x in row] for row in found.tolist()]


def main():
    warnings.simplefilter("ignore")
    for seed, (name, base, arguments) in enumerate(ADAPTERS):
        torch.manual_seed(seed)
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        model = load(base)
        with torch.no_grad():
            before = output(model)
            task = arguments.pop("task_type", "CAUSAL_LM")
            tuned = peft.get_peft_model(model, LoraConfig(task_type=task, **arguments))
            for _, weight in tuned.named_parameters():
                if weight.requires_grad:
                    weight.add_(torch.randn_like(weight) * 0.3)
        tuned.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        config = json.loads((folder / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = f"../../families/{base}"
        config["target_modules"] = sorted(config["target_modules"])
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
        tuned = PeftModel.from_pretrained(load(base), folder).eval()
        case = {"base": base, "input_ids": IDS, "active": output(tuned)}
        case["merged"] = output(tuned.merge_and_unload())
        assert case["active"] != before or name == "classifier", name
        (folder / "case.json").write_text(json.dumps(case, separators=(",", ":")))
        print(name, max(abs(a - b) for x, y in zip(case["active"], case["merged"]) for a, b in zip(x, y)))


main()
