"""Records what transformers renders, for `recorded.rs`: `python record.py`, with transformers 5.

Each template in `templates/` is applied to the chats below, and each line of `constructs.txt`, a template of its own, to
the first of them; the results go to `recorded/`. What is in `recorded/` besides was recorded with models that have
templates of their own.
"""

import json
from itertools import product
from pathlib import Path

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

HERE = Path(__file__).parent
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}

USER = {"role": "user", "content": " Hi, it's <me> & \"you\" é\n"}
CHATS = {
    "plain": [{"role": "system", "content": " Be kind.\n"}, USER, {"role": "assistant", "content": "Yes."}],
    "user": [USER],
    "two-users": [USER, USER],
    "tool-calls": [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [
            {"type": "function", "function": {"name": "f", "arguments": {"b": 1.5, "a": [None, True, "é"]}}},
            {"name": "g", "arguments": "{\"x\": 1}"},
        ]},
        {"role": "tool", "content": {"n": 1e-7, "big": 1e22}},
        {"role": "tool", "content": "two"},
        {"role": "assistant", "content": "Done. "},
    ],
    "reasoning": [
        USER,
        {"role": "assistant", "content": "<think>\nfirst\n</think>\n\nAn answer"},
        {"role": "user", "content": "More"},
        {"role": "assistant", "reasoning": "second", "content": "Another answer  "},
    ],
    "parts": [
        {"role": "user", "content": [{"type": "text", "text": "See"}, {"type": "image"}, {"type": "video"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "It is"}]},
    ],
}
TOOLS = [
    {"type": "function", "function": {"name": "f", "description": "Does \"f\" <b>", "parameters": {
        "type": "object", "required": ["a"], "properties": {
            "a": {"type": "array", "items": {"type": ["string", "null"]}, "description": "The first\nargument"},
            "b": {"type": "number", "default": 0.5},
            "mode": {"type": "string", "enum": ["x", "y"], "default": "x"},
            "deep": {"type": "object", "properties": {"items": {"type": "array"}}},
        }}}},
]
DOCUMENTS = [{"title": "One", "text": "Text of one"}, {"text": "Text of two", "title": "Two"}]
PARAMS = [
    {},
    {"add_generation_prompt": True, "enable_thinking": False, "date_string": "1 Jan 2025"},
    {"continue_final_message": True, "keep_reasoning": True},
    {"continue_final_message": "reasoning_content"},
]


def tokenizer():
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2}
    model = models.WordLevel(vocabulary, unk_token="<unk>")
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model), **TOKENS)


def expected(renderer, template, given, params):
    try:
        text = renderer.apply_chat_template(
            given["messages"], tools=given.get("tools"), documents=given.get("documents"), chat_template=template,
            tokenize=False, **params)
        return {"text": text}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".split("\n")[0]}


def write(name, templates, **common):
    """One case on each line; `common` is what all of them are given."""
    lines = ",\n".join(
        json.dumps(template, ensure_ascii=False, separators=(",", ":")).replace('{"input":', '\n{"input":')
        for template in templates)
    head = json.dumps({"special_tokens": TOKENS, **common}, ensure_ascii=False)
    (HERE / "recorded" / f"{name}.json").write_text(f'{head[:-1]}, "templates": [\n{lines}\n]}}\n')


def main():
    renderer = tokenizer()
    (HERE / "recorded").mkdir(exist_ok=True)
    for path in sorted((HERE / "templates").glob("*.jinja")):
        template = path.read_text()
        cases = []
        for messages, params, extra in product(CHATS.values(), PARAMS, [{}, {"tools": TOOLS, "documents": DOCUMENTS}]):
            given = {"messages": messages, **extra}
            cases.append({"input": given, "params": params, "expected": expected(renderer, template, given, params)})
        write(path.stem, [{"template": template, "cases": cases}])
    given, params, constructs = {"messages": CHATS["plain"]}, {"number": 1e22}, []
    for line in (HERE / "constructs.txt").read_text().splitlines():
        template = json.loads(line) if line.startswith('"') else line
        case = {"expected": expected(renderer, template, given, params)}
        constructs.append({"template": template, "cases": [case]})
    write("constructs", constructs, input=given, params=params)


main()
