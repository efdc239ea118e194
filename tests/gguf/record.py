#!/usr/bin/env python3
"""Records tiny models in GGUF, and what transformers computes with their weights.

    python tests/gguf/record.py --goldens DIR

DIR holds the tiny checkpoints and cases that tests/goldens/README.md describes (`models/llama`, `cases/llama`, ...). Each
is written as llama.cpp's `convert_hf_to_gguf.py` would write it, by its Python package `gguf`, into models/NAME/NAME.gguf.
What is in a file is then undone here in the opposite direction: the model of transformers is given the numbers that the
blocks of the file hold, so that its logits are those of the file. Where transformers reads GGUF of the family itself, it
must agree. Cases of tokenizers and chat templates are those of the checkpoint.

Needs torch, transformers and gguf.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType as Type

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

HERE = Path(__file__).parent
TEXTS = ["The capital of France is", "  Two spaces, 12345 digits\nand a new line.", "Straße 東京 😀 don't"]

# Types of matrices by a part of their names there, the first that fits; vectors are F32.
F16 = {"": Type.F16}
MIXED = {
    "token_embd": Type.Q8_0, "attn_q.": Type.Q4_0, "attn_k.": Type.Q4_1, "attn_v.": Type.Q5_0, "attn_output": Type.Q5_1,
    "ffn_gate": Type.Q4_0, "ffn_up": Type.Q4_1, "ffn_down": Type.Q8_0, "": Type.Q8_0,
}
# name: (checkpoint, types, parts, what GGUF cannot say and is thus set in the configuration, absolute tolerance). With
# weights in blocks, products round their inputs to bytes too: llama.cpp is up to 0.28 off with these files.
MODELS = {
    "llama-f16": ("llama", F16, 1, {}, 1e-4),
    "llama-mixed": ("llama", MIXED, 3, {}, 0.6),
    "mistral-f16": ("mistral", F16, 1, {}, 1e-4),
    "qwen2-bf16": ("qwen2", {"": Type.BF16}, 1, {}, 1e-4),
    "qwen3-f16": ("qwen3", F16, 1, {}, 1e-4),
    "phi3-f16": ("phi3", F16, 1, {}, 1e-4),
    "phi3-q4_1": ("phi3", {"": Type.Q4_1}, 1, {}, 0.6),
    "gpt2-f16": ("gpt2", F16, 1, {}, 1e-4),
    "gpt2-q8_0": ("gpt2", {"": Type.Q8_0}, 1, {}, 0.6),
    "gemma-f16": ("gemma", F16, 1, {}, 1e-4),
    "gemma2-f16": ("gemma2", F16, 1, {"query_pre_attn_scalar": 16}, 1e-4),
    "gemma3-f16": ("gemma3", F16, 1, {}, 1e-4),
    "mixtral-f16": ("mixtral", F16, 1, {}, 1e-4),
    "qwen2moe-f16": ("qwen2_moe", F16, 1, {}, 1e-4),
    "qwen3moe-q8_0": ("qwen3_moe", {"": Type.Q8_0}, 1, {}, 0.6),
}
# Families without a checkpoint are made here, with the tokenizer of another.
MADE = {
    "gemma": ("gemma2", lambda size: transformers.GemmaConfig(**size, num_key_value_heads=1)),
    "gemma3": ("gemma2", lambda size: transformers.Gemma3TextConfig(
        **size, num_key_value_heads=2, sliding_window=8, query_pre_attn_scalar=16,
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
        },
    )),
    "mixtral": ("mistral", lambda size: transformers.MixtralConfig(
        **size, num_key_value_heads=2, num_local_experts=4)),
    "qwen2_moe": ("qwen2", lambda size: transformers.Qwen2MoeConfig(
        **size, num_key_value_heads=2, num_experts=5, num_experts_per_tok=3, moe_intermediate_size=32,
        shared_expert_intermediate_size=96)),
    # llama.cpp divides the weights of the experts by their sum, whatever the configuration says.
    "qwen3_moe": ("qwen3", lambda size: transformers.Qwen3MoeConfig(
        **size, num_key_value_heads=2, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=32,
        norm_topk_prob=True)),
}
ARCHITECTURES = {
    "llama": gguf.MODEL_ARCH.LLAMA, "mistral": gguf.MODEL_ARCH.LLAMA, "qwen2": gguf.MODEL_ARCH.QWEN2,
    "qwen3": gguf.MODEL_ARCH.QWEN3, "phi3": gguf.MODEL_ARCH.PHI3, "gpt2": gguf.MODEL_ARCH.GPT2,
    "gemma": gguf.MODEL_ARCH.GEMMA, "gemma2": gguf.MODEL_ARCH.GEMMA2, "gemma3_text": gguf.MODEL_ARCH.GEMMA3,
    "mixtral": gguf.MODEL_ARCH.LLAMA, "qwen2_moe": gguf.MODEL_ARCH.QWEN2MOE, "qwen3_moe": gguf.MODEL_ARCH.QWEN3MOE,
}
PRE = {"llama": "llama-bpe", "qwen2": "qwen2", "qwen3": "qwen2", "gpt2": "gpt-2", "qwen2_moe": "qwen2", "qwen3_moe": "qwen2"}


# Whose queries and keys are reordered.
PAIRED = ("llama", "mistral", "mixtral")


def load(goldens, family, overrides):
    """The model, its tokenizer, and the folder of the tokenizer."""
    folder = goldens / "models" / family
    if family in MADE:
        torch.manual_seed(7)
        tokenizer, make = MADE[family]
        folder = goldens / "models" / tokenizer
        other = json.loads((folder / "config.json").read_text())
        special = {f"{name}_token_id": other.get(f"{name}_token_id") for name in ("bos", "eos", "pad")}
        size = dict(vocab_size=other["vocab_size"], hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                    head_dim=16, max_position_embeddings=128, initializer_range=0.2, **special)
        if family == "qwen2_moe":
            del size["head_dim"]
        config = make(size)
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):
                weight.data.normal_(0, 0.2)
    else:
        config = transformers.AutoConfig.from_pretrained(folder, **overrides)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, config=config, attn_implementation="eager", dtype=torch.float32)
    return model.float().eval(), transformers.AutoTokenizer.from_pretrained(folder), folder


def convert(config, name, weight):
    """A tensor as the converter stores it."""
    family = config.model_type
    if family in PAIRED and name.endswith(("q_proj.weight", "k_proj.weight")):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        pairs = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
        return pairs.swapaxes(1, 2).reshape(weight.shape)
    if family.startswith("gemma") and name.endswith("norm.weight"):
        return weight + 1
    if family == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return weight.T
    return weight


def restore(config, name, weight):
    """The opposite."""
    family = config.model_type
    if family in PAIRED and name.endswith(("q_proj.weight", "k_proj.weight")):
        heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
        pairs = weight.reshape(heads, weight.shape[0] // heads // 2, 2, *weight.shape[1:])
        return pairs.swapaxes(1, 2).reshape(weight.shape)
    if family.startswith("gemma") and name.endswith("norm.weight"):
        return weight - 1
    if family == "gpt2" and name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        return weight.T
    return weight


def pieces(state):
    """The tensors, experts' gates apart from what they multiply."""
    for name, weight in state.items():
        if name.endswith("experts.gate_up_proj"):
            for part, half in zip(("gate_proj", "up_proj"), weight.chunk(2, dim=1)):
                yield name.replace("gate_up_proj", f"{part}.weight"), half
        else:
            yield f"{name}.weight" if name.endswith("experts.down_proj") else name, weight


def add_tensors(writer, model, types):
    """Writes the tensors, and gives the model what the file then holds."""
    config = model.config
    layers = config.num_hidden_layers
    names = gguf.get_tensor_name_map(ARCHITECTURES[config.model_type], layers)
    state = model.state_dict()
    tied = config.tie_word_embeddings
    for name, weight in pieces(state):
        if name.endswith((".attn.bias", ".attn.masked_bias")) or (tied and name == "lm_head.weight"):
            continue
        there = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert there, name
        stored = np.ascontiguousarray(convert(config, name, weight.numpy()))
        kind = Type.F32
        if stored.ndim > 1 and "ffn_gate_inp" not in there:
            kind = next(kind for part, kind in types.items() if part in there)
        quantized = gguf.quants.quantize(stored, kind)
        writer.add_tensor(there, quantized, raw_dtype=kind)
        held = gguf.quants.dequantize(quantized, kind).reshape(stored.shape)
        weight.copy_(torch.from_numpy(np.ascontiguousarray(restore(config, name, held))))
    model.load_state_dict(state)
    if tied:
        model.tie_weights()
    rope = config.rope_parameters if hasattr(config, "rope_parameters") else None
    if rope and rope.get("rope_type") == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_factors(config, rope))


def llama3_factors(config, rope):
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    frequencies = 1.0 / rope["rope_theta"] ** (np.arange(0, size, 2, dtype=np.float32) / size)
    original = rope["original_max_position_embeddings"]
    low, high = original / rope["low_freq_factor"], original / rope["high_freq_factor"]
    factors = []
    for frequency in frequencies:
        wave = 2 * np.pi / frequency
        if wave < high:
            factors.append(1.0)
        elif wave > low:
            factors.append(rope["factor"])
        else:
            smooth = (original / wave - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            factors.append(1.0 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, dtype=np.float32)


def add_parameters(writer, config):
    family = config.model_type
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    if family == "gpt2":
        writer.add_feed_forward_length(4 * config.hidden_size)
        writer.add_layer_norm_eps(config.layer_norm_epsilon)
        return
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    size = getattr(config, "head_dim", None)
    if size:
        writer.add_key_length(size)
        writer.add_value_length(size)
    rope = config.rope_parameters
    if family == "gemma3_text":
        writer.add_rope_freq_base(rope["full_attention"]["rope_theta"])
        writer.add_rope_freq_base_swa(rope["sliding_attention"]["rope_theta"])
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["full_attention"]["factor"])
        writer.add_sliding_window_pattern([kind == "sliding_attention" for kind in config.layer_types])
    else:
        writer.add_rope_freq_base(rope["rope_theta"])
    if "moe" in family or family == "mixtral":
        writer.add_expert_count(config.num_local_experts if family == "mixtral" else config.num_experts)
        writer.add_expert_used_count(config.num_experts_per_tok)
    if "moe" in family:
        writer.add_expert_feed_forward_length(config.moe_intermediate_size)
    if family == "qwen2_moe":
        writer.add_expert_shared_feed_forward_length(config.shared_expert_intermediate_size)
    if family in (*PAIRED, "phi3"):
        writer.add_rope_dimension_count(size or config.hidden_size // config.num_attention_heads)
        writer.add_vocab_size(config.vocab_size)
    if family in ("gemma2", "gemma3_text", "phi3", "mistral") and config.sliding_window:
        writer.add_sliding_window(config.sliding_window)
    if family == "gemma2":
        writer.add_attn_logit_softcapping(config.attn_logit_softcapping)
        writer.add_final_logit_softcapping(config.final_logit_softcapping)


def add_vocabulary(writer, config, folder):
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    ids = {index: token for token, index in tokenizer["model"]["vocab"].items()}
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    byte_level = not tokenizer["model"]["byte_fallback"]
    merges = [merge if isinstance(merge, list) else merge.split(" ") for merge in tokenizer["model"]["merges"]]
    ranks = {}
    for rank, (left, right) in enumerate(merges):
        ranks.setdefault(left + right, rank)
    tokens, kinds, scores = [], [], []
    for index in range(config.vocab_size):
        token, kind = ids.get(index, f"[PAD{index}]"), gguf.TokenType.NORMAL
        if index not in ids:
            kind = gguf.TokenType.UNUSED
        if index in added:
            token = added[index]["content"]
            kind = gguf.TokenType.CONTROL if added[index]["special"] else gguf.TokenType.USER_DEFINED
            if token == "<unk>":
                kind = gguf.TokenType.UNKNOWN
        elif not byte_level and token.startswith("<0x") and len(token) == 6:
            kind = gguf.TokenType.BYTE
        tokens.append(token)
        kinds.append(kind)
        # SentencePiece's scores fall with the order in which tokens were merged.
        scores.append(-float(ranks.get(token, len(merges) + index)) if kind == gguf.TokenType.NORMAL else 0.0)
    writer.add_tokenizer_model("gpt2" if byte_level else "llama")
    writer.add_tokenizer_pre(PRE[config.model_type] if byte_level else "default")
    writer.add_token_list(tokens)
    if not byte_level:
        writer.add_token_scores(scores)
        prefix = "Prepend" in json.dumps(tokenizer["normalizer"])
        if not prefix:
            writer.add_add_space_prefix(False)
    writer.add_token_types(kinds)
    gguf.SpecialVocab(folder, load_merges=byte_level, n_vocab=len(tokens)).add_to_gguf(writer, quiet=True)


def logits(model, tokenizer, text):
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return ids[0].tolist(), model(ids).logits[0].double()


def logits_case(model, tokenizer, text):
    ids, rows = logits(model, tokenizer, text)
    rounded = lambda values: [float(f"{value:.9g}") for value in values]
    return {
        "input_ids": ids,
        "shape": list(rows.shape),
        "first8": [rounded(row[:8].tolist()) for row in rows],
        "last": rounded(rows[-1].tolist()),
    }


def check(folder, file, model, tokenizer, scale):
    """Transformers' own reading of the file, where it knows the family."""
    if model.config.model_type == "mixtral":
        return "taken for Llama by transformers"
    try:
        other = transformers.AutoModelForCausalLM.from_pretrained(
            folder, gguf_file=file, attn_implementation="eager", dtype=torch.float32).eval()
    except Exception as error:
        return f"not read by transformers: {str(error).splitlines()[0][:90]}"
    worst = max((logits(model, tokenizer, text)[1] - logits(other, tokenizer, text)[1]).abs().max() for text in TEXTS)
    return f"transformers reads it {worst:.1e} off" + ("" if worst < 1e-3 * scale else "  <-- LOOK")


def record(goldens, name):
    family, types, parts, overrides, tolerance = MODELS[name]
    model, tokenizer, source = load(goldens, family, overrides)
    config = model.config
    folder, cases = HERE / "models" / name, HERE / "cases" / name
    for old in (folder, cases):
        shutil.rmtree(old, ignore_errors=True)
        old.mkdir(parents=True)
    split = max(1, len(model.state_dict()) // parts) if parts > 1 else 0
    writer = gguf.GGUFWriter(
        folder / f"{name}.gguf", gguf.MODEL_ARCH_NAMES[ARCHITECTURES[config.model_type]], split_max_tensors=split)
    writer.add_name(name)
    add_parameters(writer, config)
    with tempfile.TemporaryDirectory() as own:
        # The end tokens and the like are those of the configuration in use.
        for file in source.iterdir():
            if file.suffix in (".json", ".jinja"):
                shutil.copy(file, own)
        add_vocabulary(writer, config, Path(own))
    add_tensors(writer, model, types)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    written = []
    for index, text in enumerate(TEXTS):
        expected = logits_case(model, tokenizer, text)
        written.append((f"causal-lm-logits-{index}", "causal-lm-logits", {}, {"text": text}, expected, tolerance))
    for label in ("tokenize-texts", "tokenize-pairs", "detokenize-skip", "detokenize-keep", "chat-template-system-prompt",
                  "chat-template-multi-plain", "chat-template-tools-prompt"):
        for path in sorted((goldens / "cases" / source.name).glob(f"*-{label}.json")):
            case = json.loads(path.read_text())
            written.append((label, case["task"], case["params"], case["input"], case["expected"], 0))
    for label, task, params, given, expected, atol in written:
        case = {"id": f"{name}/{label}", "model": f"models/{name}", "task": task, "params": params, "input": given,
                "expected": expected, "atol": atol, "rtol": 1e-4}
        (cases / f"{label}.json").write_text(json.dumps(case, ensure_ascii=False) + "\n")
    files = sorted(file.name for file in folder.iterdir())
    own = "in parts" if parts > 1 else check(folder, files[0], model, tokenizer, 1)
    print(f"{name}: {len(written)} cases, {sum(file.stat().st_size for file in folder.iterdir())} bytes, {own}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--goldens", type=Path, required=True)
    parser.add_argument("names", nargs="*", default=list(MODELS))
    arguments = parser.parse_args()
    for name in arguments.names:
        record(arguments.goldens, name)


if __name__ == "__main__":
    main()
