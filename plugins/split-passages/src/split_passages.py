"""The plugin: `inference:runtime`'s world `step` around `passages`."""

import json
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache, wraps
from itertools import accumulate

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.step_processing import Description, ModelNeed, Task, TokenizerNeed
from wit_world.imports import model, tokenizer
from wit_world.imports.records import Field, Kind, Slot, Value_Json, Value_None_, Value_Number

from passages import as_json, cosine, passages, sentences

READER, EMBEDDER = "reader", "embedder"


@dataclass(frozen=True)
class Settings:
    max_tokens: int
    overlap: int
    min_similarity: float | None


# What `start` was given. Each call has a `StepProcessing` of its own; the module is what an instance keeps.
settings: Settings


def told(call):
    """A mistake in the plugin itself is said as a refusal: without WASI there is no stderr for a traceback."""

    @wraps(call)
    def calling(*arguments):
        try:
            return call(*arguments)
        except Err:
            raise
        except Exception as error:
            # `traceback` would read the source, and there are no files.
            at = error.__traceback__
            while at.tb_next:
                at = at.tb_next
            raise Err(f"{type(error).__name__}: {error} ({at.tb_frame.f_code.co_name}, line {at.tb_lineno})") from None

    return calling


class StepProcessing(exports.StepProcessing):
    """What the host calls: `start` once for an instance, then `process` for one record after another."""

    def describe(self) -> Description:
        return Description(
            name="split-passages",
            version="0.1.0",
            summary="cuts a text between sentences into passages that a model can read whole",
            inputs=[Slot("text", Kind.TEXT, True, "what is cut")],
            outputs=[
                Slot("passages", Kind.ANY, True, "[{text, start, end, tokens}], places in characters"),
                Slot("texts", Kind.ANY, True, "the texts of the passages"),
                Slot("count", Kind.NUMBER, True, "how many there are"),
            ],
            parameters=[
                Slot("max_tokens", Kind.NUMBER, False, "of a passage, with those that a model expects around it; 256"),
                Slot("overlap", Kind.NUMBER, False, "sentences that a passage repeats of the one before; 0"),
                Slot("min_similarity", Kind.NUMBER, False, "neighbours less alike are parted; needs `embedder`"),
            ],
            models=[ModelNeed(EMBEDDER, Task.SENTENCE_EMBEDDING, [], False)],
            tokenizers=[TokenizerNeed(READER, True)],
        )

    @told
    def start(self, parameters: list[Field]) -> None:
        given = {field.name: field.value.value for field in parameters if not isinstance(field.value, Value_None_)}
        global settings
        settings = Settings(
            whole(given, "max_tokens", 256, 4), whole(given, "overlap", 0, 0), given.get("min_similarity")
        )

    @told
    def process(self, fields: list[Field]) -> list[Field]:
        [text] = [field.value.value for field in fields if field.name == "text"]
        try:
            found = passages(
                text, settings.max_tokens, settings.overlap, ends, lru_cache(None)(count), breaks(text)
            )
        except Err as error:
            # What the host says, such as which grant is missing.
            raise Err(error.value.value) from None
        except ValueError as error:
            raise Err(str(error)) from None
        return [
            Field("passages", Value_Json(as_json(found))),
            Field("texts", Value_Json(json.dumps([passage.text for passage in found], ensure_ascii=False))),
            Field("count", Value_Number(float(len(found)))),
        ]


def breaks(text: str) -> frozenset[int]:
    """The sentences that are unlike the one before."""
    spans = sentences(text)
    if settings.min_similarity is None or len(spans) < 2:
        return frozenset()
    vectors = model.embed(EMBEDDER, [text[start:end] for start, end in spans])
    alike = (cosine(one, other) for one, other in zip(vectors, vectors[1:]))
    return frozenset(after for after, alike in enumerate(alike, 1) if alike < settings.min_similarity)


def count(text: str) -> int:
    return len(tokenizer.encode(READER, text, True))


def ends(text: str) -> list[int]:
    """The host counts bytes of UTF-8."""
    places = (token.end for token in tokenizer.encode(READER, text, False))
    if text.isascii():
        return list(places)
    bytes_before = list(accumulate((len(character.encode()) for character in text), initial=0))
    return [bisect_left(bytes_before, place) for place in places]


def whole(given: dict[str, float], name: str, default: int, least: int) -> int:
    number = given.get(name, default)
    if number != int(number) or number < least:
        raise Err(f"`{name}` is {number:g}; it must be a whole number, {least} at least")
    return int(number)
