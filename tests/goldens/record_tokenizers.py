"""Records what transformers does with tokenizers whose files disagree: `tokenizer_config.json` changes what
`tokenizer.json` says. Writes the folders `models/*-adapted` and their cases.

    pip install transformers==5.23.* && python tests/goldens/record_tokenizers.py
"""

import json
from pathlib import Path

from transformers import AutoTokenizer

HERE = Path(__file__).parent
TEXTS = ["Crème Brûlée in Zürich", " the <mask> [MASK] west,", "日本 it's the best of times", ""]


def read(folder, name):
    return json.loads((HERE / "models" / folder / name).read_text())


def folder(name, source, tokenizer, config, special_tokens_map=None):
    path = HERE / "models" / name
    path.mkdir(exist_ok=True)
    files = {"config.json": read(source, "config.json"), "tokenizer.json": tokenizer, "tokenizer_config.json": config}
    if special_tokens_map:
        files["special_tokens_map.json"] = special_tokens_map
    for file, content in files.items():
        (path / file).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def bert():
    """A file that lowercases, truncates and pads, for a class that is told to keep case and strip accents."""
    tokenizer = read("bert-mlm", "tokenizer.json")
    tokenizer["truncation"] = {"direction": "Left", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    tokenizer["padding"] = {
        "strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 1,
        "pad_token": "[PAD]",
    }
    config = {
        "tokenizer_class": "BertTokenizerFast", "do_lower_case": False, "strip_accents": True,
        "tokenize_chinese_chars": False, "model_max_length": 9, "clean_up_tokenization_spaces": True,
    }
    names = {"unk_token": "[UNK]", "mask_token": {"content": "[MASK]", "lstrip": True, "normalized": False}}
    folder("bert-adapted", "bert-mlm", tokenizer, config, names)


def roberta():
    """Words begin with a space whatever the file says; a token takes the space before it, another is special."""
    tokenizer = read("roberta-mlm", "tokenizer.json")
    config = read("roberta-mlm", "tokenizer_config.json")
    config |= {"add_prefix_space": True, "truncation_side": "left", "padding_side": "left"}
    config["extra_special_tokens"] = ["est"]
    for token in config["added_tokens_decoder"].values():
        if token["content"] == "<mask>":
            token |= {"lstrip": False, "rstrip": True}
    del config["pad_token"]
    folder("roberta-adapted", "roberta-mlm", tokenizer, config)


def encoding(encoding, with_types):
    result = {
        "input_ids": encoding.ids, "attention_mask": encoding.attention_mask,
        "special_tokens_mask": encoding.special_tokens_mask, "offset_mapping": encoding.offsets,
        "tokens": encoding.tokens, "word_ids": encoding.word_ids, "sequence_ids": encoding.sequence_ids,
    }
    return result | ({"token_type_ids": encoding.type_ids} if with_types else {})


def record(model):
    tokenizer = AutoTokenizer.from_pretrained(HERE / "models" / model)
    words = [text.split() for text in TEXTS]
    calls = [
        ("texts", {}, {"text": TEXTS}),
        ("padded", {"padding": True, "truncation": True}, {"text": TEXTS, "text_pair": TEXTS[::-1]}),
        ("words", {"is_split_into_words": True, "max_length": 8, "return_overflowing_tokens": True}, {"text": words}),
        ("wrapped", {"truncation": True, "max_length": 1}, {"text": TEXTS[0]}),
        ("empty-pair", {}, {"text": TEXTS[0], "text_pair": ""}),
    ]
    ids = tokenizer(TEXTS)["input_ids"]
    cases = [("detokenize", {"skip_special_tokens": True}, {"ids": ids}, {"texts": tokenizer.decode(ids, True)})]
    for label, params, given in calls:
        result = tokenizer(**given, **params)
        with_types = "token_type_ids" in result
        expected = {"encodings": [encoding(each, with_types) for each in result.encodings]}
        if "overflow_to_sample_mapping" in result:
            expected["overflow_to_sample_mapping"] = result["overflow_to_sample_mapping"]
        cases.append((f"tokenize-{label}", params, given, expected))
    path = HERE / "cases" / model
    path.mkdir(exist_ok=True)
    for number, (label, params, given, expected) in enumerate(cases, 1):
        name = f"{number:02}-{label}"
        case = {
            "id": f"{model}/{name}", "model": f"models/{model}", "task": label.split("-")[0], "params": params,
            "input": given, "expected": expected, "atol": 0, "rtol": 0,
        }
        (path / f"{name}.json").write_text(json.dumps(case, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    bert()
    roberta()
    for model in ("bert-adapted", "roberta-adapted"):
        record(model)
