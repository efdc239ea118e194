"""Records what Hugging Face transformers computes with tiny models of every family and head.

    python -m venv venv && venv/bin/pip install torch transformers==5.23.0
    venv/bin/python tests/families/record.py [FAMILY...]

Each folder beside this script is one model: `config.json`, `model.safetensors` with seeded random weights, and
`case.json` with token ids and the output that `tests/families.rs` compares. There is no tokenizer: ids go in as they are.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers as hf

HERE = Path(__file__).parent
VOCABULARY = 40
CAUSAL = ["Model", "ForCausalLM"]
HEADS = ["Model", "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM"]
SMALL = dict(
    vocab_size=VOCABULARY,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=48,
    num_labels=3,
    initializer_range=0.5,
)
NO_TOKENS = dict(pad_token_id=0, bos_token_id=None, eos_token_id=None, cls_token_id=None, sep_token_id=None)
DEBERTA = SMALL | dict(relative_attention=True, position_biased_input=False, pooler_hidden_size=16)
DISTILBERT = dict(vocab_size=VOCABULARY, dim=16, n_layers=2, n_heads=2, hidden_dim=24, max_position_embeddings=48)

DECODER = {name: value for name, value in SMALL.items() if name != "num_labels"} | dict(
    num_attention_heads=4, num_key_value_heads=2, head_dim=8, bos_token_id=None, eos_token_id=None, pad_token_id=None
)


SEQ2SEQ = dict(
    vocab_size=VOCABULARY, d_model=16, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
    decoder_attention_heads=4, encoder_ffn_dim=24, decoder_ffn_dim=20, max_position_embeddings=48, init_std=0.5,
)
GENERATION = ["Model", "ForConditionalGeneration"]
T5 = dict(
    vocab_size=VOCABULARY, d_model=16, d_kv=6, d_ff=24, num_layers=2, num_decoder_layers=3, num_heads=2,
    relative_attention_num_buckets=8, relative_attention_max_distance=20,
)


def llama(**rope):
    """Llama with a scaling of its positions."""
    return hf.LlamaConfig(**DECODER, rope_parameters={"rope_theta": 100.0} | rope)


# Name, configuration, prefix of the classes, heads.
FAMILIES = [
    ("bert", hf.BertConfig(**SMALL, hidden_act="relu"), "Bert", HEADS),
    ("distilbert", hf.DistilBertConfig(**DISTILBERT, num_labels=3, initializer_range=0.5), "DistilBert", HEADS),
    ("roberta", hf.RobertaConfig(**SMALL, type_vocab_size=1), "Roberta", HEADS),
    ("xlm-roberta", hf.XLMRobertaConfig(**SMALL, type_vocab_size=1), "XLMRoberta", HEADS[:2]),
    ("camembert", hf.CamembertConfig(**SMALL, type_vocab_size=1, pad_token_id=0), "Camembert", HEADS[2:3]),
    ("mpnet", hf.MPNetConfig(**SMALL), "MPNet", HEADS),
    ("electra", hf.ElectraConfig(**SMALL, embedding_size=8), "Electra", HEADS),
    ("electra-wide", hf.ElectraConfig(**SMALL, embedding_size=16), "Electra", HEADS[:1]),
    ("albert", hf.AlbertConfig(**SMALL | dict(num_hidden_layers=4), embedding_size=8, num_hidden_groups=2), "Albert", HEADS),
    ("albert-inner", hf.AlbertConfig(**SMALL, embedding_size=8, inner_group_num=2), "Albert", HEADS[:1]),
    (
        "deberta-v3",
        hf.DebertaV2Config(
            **DEBERTA, type_vocab_size=0, position_buckets=8, share_att_key=True, norm_rel_ebd="layer_norm",
            pos_att_type=["p2c", "c2p"], pad_token_id=0,
        ),
        "DebertaV2",
        HEADS,
    ),
    (
        "deberta-plain-distances",
        hf.DebertaV2Config(
            **DEBERTA | dict(position_biased_input=True, type_vocab_size=2, max_relative_positions=12),
            pos_att_type="c2p", legacy=False,
        ),
        "DebertaV2",
        ["Model", "ForMaskedLM"],
    ),
    (
        "deberta-convolution",
        hf.DebertaV2Config(
            **DEBERTA, position_buckets=8, pos_att_type="p2c", conv_kernel_size=3, conv_act="gelu", conv_groups=2,
        ),
        "DebertaV2",
        HEADS[:1],
    ),
    ("deberta-no-distances", hf.DebertaV2Config(**DEBERTA | dict(relative_attention=False)), "DebertaV2", HEADS[:1]),
    (
        "modernbert",
        hf.ModernBertConfig(**SMALL | dict(num_hidden_layers=4), **NO_TOKENS, local_attention=8, classifier_pooling="cls"),
        "ModernBert",
        HEADS,
    ),
    (
        "modernbert-biases",
        hf.ModernBertConfig(
            **SMALL | dict(num_hidden_layers=3), **NO_TOKENS, local_attention=8, classifier_pooling="mean",
            norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True, decoder_bias=False,
            layer_types=["sliding_attention", "full_attention", "sliding_attention"],
            rope_parameters={
                "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                "sliding_attention": {"rope_type": "default", "rope_theta": 20.0},
            },
        ),
        "ModernBert",
        ["ForSequenceClassification", "ForMaskedLM"],
    ),
    (
        "bart",
        hf.BartConfig(
            vocab_size=VOCABULARY, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=24, decoder_ffn_dim=24, max_position_embeddings=48,
            scale_embedding=True, init_std=0.5,
        ),
        "Bart",
        GENERATION,
    ),
    (
        "t5-gated",
        hf.T5Config(
            vocab_size=VOCABULARY, d_model=16, d_kv=6, d_ff=24, num_layers=2, num_heads=2,
            relative_attention_num_buckets=8, relative_attention_max_distance=20, feed_forward_proj="gated-gelu",
        ),
        "T5Encoder",
        HEADS[:1],
    ),
    (
        "gpt2",
        hf.GPT2Config(
            vocab_size=VOCABULARY, n_positions=48, n_embd=16, n_layer=2, n_head=2, initializer_range=0.5,
            scale_attn_by_inverse_layer_idx=True,
        ),
        "GPT2",
        ["Model", "LMHeadModel"],
    ),
    ("llama", hf.LlamaConfig(**DECODER, attention_bias=True, mlp_bias=True, tie_word_embeddings=True), "Llama", CAUSAL),
    ("llama-linear", llama(rope_type="linear", factor=3.0), "Llama", CAUSAL[:1]),
    ("llama-dynamic", llama(rope_type="dynamic", factor=3.0), "Llama", CAUSAL[:1]),
    (
        "llama-3",
        llama(
            rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16
        ),
        "Llama",
        CAUSAL[:1],
    ),
    ("llama-yarn", llama(rope_type="yarn", factor=4.0, original_max_position_embeddings=12), "Llama", CAUSAL[:1]),
    (
        "llama-yarn-scaled",
        llama(
            rope_type="yarn", factor=4.0, original_max_position_embeddings=12, beta_fast=8.0, beta_slow=2.0, mscale=0.7,
            mscale_all_dim=0.3, truncate=False,
        ),
        "Llama",
        CAUSAL[:1],
    ),
    ("mistral", hf.MistralConfig(**DECODER, sliding_window=6), "Mistral", CAUSAL),
    (
        "qwen2",
        hf.Qwen2Config(
            **{k: v for k, v in DECODER.items() if k != "head_dim"}, use_sliding_window=True, sliding_window=5,
            max_window_layers=1,
        ),
        "Qwen2",
        CAUSAL,
    ),
    ("qwen3", hf.Qwen3Config(**DECODER, attention_bias=True), "Qwen3", CAUSAL),
    (
        "phi3",
        hf.Phi3Config(
            **{k: v for k, v in DECODER.items() if k not in ("head_dim", "max_position_embeddings")},
            max_position_embeddings=96, original_max_position_embeddings=48, sliding_window=9, partial_rotary_factor=1.0,
            rope_parameters={
                "rope_type": "longrope", "rope_theta": 100.0, "short_factor": [1.0, 1.5],
                "long_factor": [2.0, 4.0], "original_max_position_embeddings": 48,
            },
        ),
        "Phi3",
        CAUSAL,
    ),
    ("gemma", hf.GemmaConfig(**DECODER), "Gemma", CAUSAL),
    ("gemma2", hf.Gemma2Config(**DECODER, sliding_window=6, query_pre_attn_scalar=5), "Gemma2", CAUSAL),
    (
        "gemma3",
        hf.Gemma3TextConfig(
            **DECODER | dict(num_hidden_layers=3), sliding_window=6, query_pre_attn_scalar=5, layer_types=[
                "sliding_attention", "full_attention", "sliding_attention",
            ],
        ),
        "Gemma3",
        ["TextModel", "ForCausalLM"],
    ),
]

FAMILIES += [
    ("mbart", hf.MBartConfig(**SEQ2SEQ, scale_embedding=True), "MBart", GENERATION),
    (
        "marian",
        hf.MarianConfig(**SEQ2SEQ, pad_token_id=0, activation_function="swish", scale_embedding=True),
        "Marian",
        ["Model", "MTModel"],
    ),
    (
        "marian-apart",
        hf.MarianConfig(**SEQ2SEQ, pad_token_id=0, decoder_vocab_size=30, share_encoder_decoder_embeddings=False),
        "Marian",
        ["MTModel"],
    ),
    ("pegasus", hf.PegasusConfig(**SEQ2SEQ), "Pegasus", GENERATION),
    ("t5", hf.T5Config(**T5), "T5", GENERATION[1:]),
    ("t5-untied", hf.T5Config(**T5, feed_forward_proj="gated-gelu", tie_word_embeddings=False), "T5", GENERATION[1:]),
    ("mt5", hf.MT5Config(**T5), "MT5", GENERATION[1:]),
]

EXPERTS = dict(num_experts=5, num_experts_per_tok=2, moe_intermediate_size=12)
QWEN_2 = {name: value for name, value in DECODER.items() if name != "head_dim"}
FAMILIES += [
    ("mixtral", hf.MixtralConfig(**DECODER, num_local_experts=4, sliding_window=6, router_jitter_noise=0.1), "Mixtral", CAUSAL),
    ("mixtral-stacked", hf.MixtralConfig(**DECODER, num_experts_per_tok=1, num_local_experts=3), "Mixtral", CAUSAL[:1]),
    (
        "qwen2-moe",
        hf.Qwen2MoeConfig(
            **QWEN_2 | dict(num_hidden_layers=3), **EXPERTS, shared_expert_intermediate_size=20, mlp_only_layers=[1],
            use_sliding_window=True, sliding_window=5,
        ),
        "Qwen2Moe",
        CAUSAL,
    ),
    (
        "qwen2-moe-step",
        hf.Qwen2MoeConfig(
            **QWEN_2 | EXPERTS | dict(num_experts_per_tok=5), shared_expert_intermediate_size=20, decoder_sparse_step=2,
            norm_topk_prob=True, qkv_bias=False, hidden_act="gelu", tie_word_embeddings=True,
        ),
        "Qwen2Moe",
        CAUSAL[1:],
    ),
    (
        "qwen3-moe",
        hf.Qwen3MoeConfig(**DECODER, **EXPERTS, norm_topk_prob=True, attention_bias=True, output_router_logits=True),
        "Qwen3Moe",
        CAUSAL,
    ),
    (
        "qwen3-moe-stacked",
        hf.Qwen3MoeConfig(
            **DECODER, **EXPERTS | dict(num_experts=12, num_experts_per_tok=4), decoder_sparse_step=2,
            use_sliding_window=True, sliding_window=5,
        ),
        "Qwen3Moe",
        CAUSAL[:1],
    ),
]

# Ids 0 and 1 are the padding tokens of most families: RoBERTa counts positions without them.
SEQUENCES = [
    [7, 3, 1, 11, 0, 39, 2],
    [(5 * i * i + 3 * i + 2) % VOCABULARY for i in range(40)],
]
TARGETS = [[2, 5, 17, 1, 29, 0, 3, 8], [(7 * i * i + i + 3) % 30 for i in range(43)]]


def output(model, head, ids, target):
    """What the head gives for one sequence alone, or for one behind its source: rows of numbers, to 7 digits."""
    return [[float(f"{x:.7g}") for x in row] for row in rows(model, head, ids, target)]


def rows(model, head, ids, target):
    if target is not None:
        with torch.no_grad():
            found = model(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([target]))
        return found.logits[0, [1, len(target) - 2]].tolist()
    encode = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.no_grad():
        found = encode(input_ids=torch.tensor([ids]))
    if head.endswith("Model") and head != "LMHeadModel":
        return found.last_hidden_state[0].tolist()
    if head == "ForQuestionAnswering":
        return torch.stack([found.start_logits[0], found.end_logits[0]], -1).tolist()
    if head in ("ForMaskedLM", "ForCausalLM", "LMHeadModel"):
        return found.logits[0, [1, len(ids) - 2]].tolist()
    return found.logits.reshape(-1, found.logits.shape[-1]).tolist()


def scatter(model, untied):
    """Makes the weights differ that all begin as 0 or 1, and the output layer from the embeddings where asked."""
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 1:
                weight.add_(torch.randn_like(weight) * 0.3)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.normal_()
        if untied:
            model.lm_head.weight = torch.nn.Parameter(torch.randn_like(model.lm_head.weight))


def main():
    chosen = sys.argv[1:]
    for number, (name, config, prefix, heads) in enumerate(FAMILIES):
        if chosen and name not in chosen:
            continue
        for head in heads:
            torch.manual_seed(number)
            config.num_labels = 2 if head == "ForQuestionAnswering" else 3
            of_class = getattr(hf, prefix + head)
            folder = HERE / f"{name}-{head.removeprefix('For').lower()}"
            shutil.rmtree(folder, ignore_errors=True)
            model = of_class(config)
            generates = head in ("ForConditionalGeneration", "MTModel")
            if generates:
                scatter(model, untied=name.endswith("untied"))
            # transformers' own form has the experts of a layer in one tensor.
            model.bfloat16().save_pretrained(folder, save_original_format=not name.endswith("stacked"))
            model = of_class.from_pretrained(folder, dtype=torch.float32).eval()
            (folder / "generation_config.json").unlink(missing_ok=True)
            cases = []
            for ids, target in zip(SEQUENCES, TARGETS if generates else [None, None]):
                case = {"input_ids": ids} | ({"decoder_input_ids": target} if generates else {})
                cases.append(case | {"output": output(model, head, ids, target)})
            (folder / "case.json").write_text(json.dumps(cases, separators=(",", ":")))


main()
