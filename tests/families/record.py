"""Records what Hugging Face transformers computes with tiny models of every encoder family and head.

    python -m venv venv && venv/bin/pip install torch transformers==5.23.0
    venv/bin/python tests/families/record.py

Each folder beside this script is one model: `config.json`, `model.safetensors` with seeded random weights, and
`case.json` with token ids and the output that `tests/families.rs` compares. There is no tokenizer: ids go in as they are.
"""

import json
import shutil
from pathlib import Path

import torch
import transformers as hf

HERE = Path(__file__).parent
VOCABULARY = 40
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
        HEADS[:1],
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
]

# Ids 0 and 1 are the padding tokens of most families: RoBERTa counts positions without them.
SEQUENCES = [
    [7, 3, 1, 11, 0, 39, 2],
    [(5 * i * i + 3 * i + 2) % VOCABULARY for i in range(40)],
]


def output(model, head, ids):
    """What the head gives for one sequence alone: rows of numbers, to 7 digits."""
    return [[float(f"{x:.7g}") for x in row] for row in rows(model, head, ids)]


def rows(model, head, ids):
    encode = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.no_grad():
        found = encode(input_ids=torch.tensor([ids]))
    if head == "Model":
        return found.last_hidden_state[0].tolist()
    if head == "ForQuestionAnswering":
        return torch.stack([found.start_logits[0], found.end_logits[0]], -1).tolist()
    if head == "ForMaskedLM":
        return found.logits[0, [1, len(ids) - 2]].tolist()
    return found.logits.reshape(-1, found.logits.shape[-1]).tolist()


def main():
    for number, (name, config, prefix, heads) in enumerate(FAMILIES):
        for head in heads:
            torch.manual_seed(number)
            config.num_labels = 2 if head == "ForQuestionAnswering" else 3
            of_class = getattr(hf, prefix + head)
            folder = HERE / f"{name}-{head.removeprefix('For').lower()}"
            shutil.rmtree(folder, ignore_errors=True)
            of_class(config).bfloat16().save_pretrained(folder)
            model = of_class.from_pretrained(folder, dtype=torch.float32).eval()
            (folder / "generation_config.json").unlink(missing_ok=True)
            cases = [{"input_ids": ids, "output": output(model, head, ids)} for ids in SEQUENCES]
            (folder / "case.json").write_text(json.dumps(cases, separators=(",", ":")))


main()
