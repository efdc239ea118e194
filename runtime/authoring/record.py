#!/usr/bin/env python3
"""Records what the modules of a model in Python compute, for `runtime plugin check --against`.

    python record.py MODEL reference.safetensors --text "Once upon a time"

MODEL is a folder or a name of the hub. Needs torch, transformers from 4.56 on and safetensors. For each module with parameters of its
own the file has the tensors `NAME.input` and `NAME.output`, in single precision and as the module saw them; where it is
called again, `NAME.input@1` and so on. `input_ids` is the text, and `result.NAME` what the model itself returns. A decoder
behind an encoder is given the same text, or `--target-ids`, behind the token that it begins with: `decoder_input_ids`.

Classes may name their modules otherwise than the checkpoint does, and some weights belong to several: `names`, in the file's
metadata, says which modules have a tensor of the checkpoint.
"""

import argparse
import collections
import inspect
import json
from collections.abc import Iterable
from pathlib import Path

import torch
import transformers
from safetensors import safe_open
from safetensors.torch import save_file


def first_tensor(values):
    return next((value for value in values if torch.is_tensor(value)), None)


def hook(records, calls, name):
    def record(module, args, kwargs, output):
        call = calls[name]
        calls[name] += 1
        suffix = f"@{call}" if call else ""
        before = first_tensor([*args, *kwargs.values()])
        values = output.values() if hasattr(output, "values") and not torch.is_tensor(output) else output
        after = output if torch.is_tensor(output) else first_tensor(values if isinstance(values, Iterable) else ())
        for part, tensor in (("input", before), ("output", after)):
            if tensor is not None and tensor.is_floating_point():
                records[f"{name}.{part}{suffix}"] = tensor.detach().float().clone().contiguous()

    return record


def checkpoint_of(model):
    """The safetensors files of a folder, or of a model that the hub's cache has."""
    folder = Path(model)
    if not folder.is_dir():
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model, allow_patterns="*.safetensors", local_files_only=True))
    return sorted(folder.glob("*.safetensors"))


def modules_of_tensors(model, files):
    """The modules that have each tensor of the checkpoint, where these are others than its name says."""
    groups = collections.defaultdict(list)
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if name.endswith(".weight"):
            groups[id(parameter)].append((name.removesuffix(".weight"), parameter))
    by_name = {name: group for group in groups.values() for name, _ in group}
    names = {name: [other for other, _ in group] for name, group in by_name.items() if len(group) > 1}
    for file in files:
        with safe_open(file, "pt") as checkpoint:
            keys = [key for key in checkpoint.keys() if key.endswith(".weight")]
            for key in (key for key in keys if key.removesuffix(".weight") not in by_name):
                shape = checkpoint.get_slice(key).get_shape()
                like = [group for group in groups.values() if list(group[0][1].shape) == shape]
                tensor = checkpoint.get_tensor(key).float() if like else None
                same = [group for group in like if torch.equal(group[0][1], tensor)]
                if len(same) == 1:
                    names[key.removesuffix(".weight")] = [name for name, _ in same[0]]
    return names


def decoder_ids(config, ids):
    first = getattr(config, "decoder_start_token_id", None)
    # A configuration that was made small may still name a token of the large one.
    known = first is not None and first < (getattr(config, "decoder_vocab_size", None) or config.vocab_size)
    return [first if known else ids[-1], *ids][: max(len(ids), 2)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("output")
    parser.add_argument("--text", default="The quick brown fox jumps over the lazy dog.")
    parser.add_argument("--ids", help="ids of tokens, with commas, in place of a text")
    parser.add_argument("--target-ids", help="ids of the decoder's tokens, behind the one that it begins with, with commas")
    parser.add_argument("--model-class", help="the class in transformers [default: the first of `architectures` in config.json]")
    parser.add_argument("--trust-remote-code", action="store_true", help="run the Python that the model brings along")
    args = parser.parse_args()

    trust = {"trust_remote_code": args.trust_remote_code}
    config = transformers.AutoConfig.from_pretrained(args.model, **trust)
    name = args.model_class or (config.architectures or ["AutoModel"])[0]
    known = getattr(transformers, name, None)
    if known is None:
        # The class is the model's own, and `auto_map` says what loads it.
        auto = [auto for auto, to in (getattr(config, "auto_map", None) or {}).items() if str(to).endswith(f".{name}")]
        known = getattr(transformers, auto[0] if auto else "AutoModel")
    trusted = trust if known.__name__.startswith("Auto") else {}
    model = known.from_pretrained(args.model, dtype=torch.float32, **trusted).eval()

    if args.ids:
        ids = [int(token) for token in args.ids.split(",")]
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(args.model, **trust)
        ids = tokenizer(args.text)["input_ids"]

    # Encoders alone may have a configuration that speaks of a decoder.
    target = {}
    if config.is_encoder_decoder and "decoder_input_ids" in inspect.signature(model.forward).parameters:
        target_ids = [int(token) for token in args.target_ids.split(",")] if args.target_ids else ids
        target["decoder_input_ids"] = torch.tensor([decoder_ids(config, target_ids)])

    records, calls = {}, collections.Counter()
    for name_of_module, module in model.named_modules():
        if name_of_module and next(module.parameters(recurse=False), None) is not None:
            module.register_forward_hook(hook(records, calls, name_of_module), with_kwargs=True)
    with torch.no_grad():
        result = model(input_ids=torch.tensor([ids]), **target, return_dict=True)
    if "start_logits" in result:
        result["logits"] = torch.stack([result["start_logits"], result["end_logits"]], dim=-1)
    if "encoder_last_hidden_state" in result and "logits" not in result:
        result["last_hidden_state"] = result["encoder_last_hidden_state"]
    for key in ("logits", "last_hidden_state"):
        if torch.is_tensor(result.get(key)):
            records[f"result.{key}"] = result[key].detach().float().clone().contiguous()
    records["input_ids"] = torch.tensor(ids, dtype=torch.int64)
    records.update({name: ids[0] for name, ids in target.items()})
    metadata = {"class": type(model).__name__, "transformers": transformers.__version__}
    metadata["names"] = json.dumps(modules_of_tensors(model, checkpoint_of(args.model)))
    save_file(records, args.output, metadata=metadata)
    print(f"{args.output}: {len(records)} tensors of {type(model).__name__} over {len(ids)} tokens")


if __name__ == "__main__":
    main()
