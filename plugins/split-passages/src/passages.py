"""Passages of a text: sentences side by side, no more tokens than a model takes.

Knows of no host: what counts tokens and what compares sentences are functions that are passed in, so that all of it runs
in any Python too (`tests/`). Places are code points, as Python counts them.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import sqrt

# What ends a sentence, with what closes behind it; a space must follow but in scripts that do without. A run of stops is
# tried from its beginning alone, or its length would count twice.
END = re.compile(r"""(?:(?<![.!?…])[.!?…]+["'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*)\s*|\n[^\S\n]*\n\s*""")

# A stop behind these ends no sentence, nor does one behind a single capital letter: `J. Doe`.
ABBREVIATION = re.compile(r"(?:^|[\s(\"'])(?:[A-Z]|Mr|Mrs|Ms|Dr|Prof|St|vs|cf|e\.g|i\.e|approx|ca|z\.B|bzw|Nr|Abs)\.$")
LONGEST = 10

Span = tuple[int, int]

# The end of each token of a text, in order, in code points; the tokens of a text with those that a model expects around it.
Ends = Callable[[str], list[int]]
Count = Callable[[str], int]


@dataclass
class Passage:
    """A part of a text, with its tokens as a model reads it alone."""

    text: str
    start: int
    end: int
    tokens: int


def as_json(passages: list[Passage]) -> str:
    return json.dumps([asdict(passage) for passage in passages], ensure_ascii=False)


def sentences(text: str) -> list[Span]:
    """Where the sentences of a text are, without the space around them."""
    spans, start = [], 0
    for found in END.finditer(text):
        # A lower-case letter goes on: `at 5 p.m. on Monday`. A blank line always ends.
        word = text[max(start, found.start() - LONGEST) : found.start() + 1]
        goes_on = text[found.end() : found.end() + 1].islower() or ABBREVIATION.search(word)
        if goes_on and found.group().count("\n") < 2:
            continue
        spans.append((start, found.end()))
        start = found.end()
    spans.append((start, len(text)))
    return [stripped for span in spans if (stripped := strip(text, span))]


def strip(text: str, span: Span) -> Span | None:
    start, end = span
    part = text[start:end]
    start, end = start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
    return (start, end) if start < end else None


def cosine(one: list[float], other: list[float]) -> float:
    norms = sqrt(sum(x * x for x in one) * sum(x * x for x in other))
    return sum(x * y for x, y in zip(one, other, strict=True)) / norms if norms else 0.0


def passages(text: str, most: int, overlap: int, ends: Ends, count: Count, breaks: frozenset[int]) -> list[Passage]:
    """As few passages as hold the sentences in order, each of `most` tokens at most.

    A passage begins with the last `overlap` sentences of the one before it, as far as these leave room for the next one,
    and never goes over a sentence of `breaks`, by its number: those begin one.
    """
    spans = sentences(text)
    if not spans:
        return []
    places = ends(text)

    def weight(start: int, end: int) -> int:
        return bisect_right(places, end) - bisect_right(places, start)

    around = count(text[slice(*spans[0])]) - weight(*spans[0])
    # A break is a sentence's, whatever parts it is cut into.
    parts, starts = [], set()
    for number, (start, end) in enumerate(spans):
        if number in breaks:
            starts.add(len(parts))
        # Alone a sentence may have a token more or less at its ends than within its text, but not twice as many.
        if 2 * (weight(start, end) + around) <= most:
            parts.append((start, end))
        else:
            parts.extend(cut(text, (start, end), most, ends, count))

    def tokens(first: int, last: int) -> int:
        return count(text[parts[first][0] : parts[last][1]])

    found, first = [], 0
    while first < len(parts):
        # To count is slow, so that what fits is guessed by the tokens of the whole text, and made sure of once.
        def seems_to_fit(begin: int, last: int) -> bool:
            return weight(parts[begin][0], parts[last][1]) + around <= most

        begin = last = first
        while 0 < begin and first - begin < overlap and begin not in starts and seems_to_fit(begin - 1, first):
            begin -= 1
        while last + 1 < len(parts) and last + 1 not in starts and seems_to_fit(begin, last + 1):
            last += 1
        while tokens(begin, last) > most and begin < last:
            if last > first:
                last -= 1
            else:
                begin += 1
        start, end = parts[begin][0], parts[last][1]
        found.append(Passage(text[start:end], start, end, tokens(begin, last)))
        first = last + 1
    return found


def cut(text: str, sentence: Span, most: int, ends: Ends, count: Count) -> Iterator[Span]:
    """A sentence as it is, or in parts of `most` tokens at most, between words where that can be."""
    start, end = sentence
    if count(text[start:end]) <= most:
        yield sentence
        return
    places = [start + place for place in ends(text[start:end])]
    while True:
        # What has no token, such as a control character, goes with what is before it.
        after = bisect_right(places, start)
        near = places[after : after + most] or [end]
        between_words = [place for place in near if place == end or text[place].isspace()]
        place = longest(text, start, between_words, most, count) or longest(text, start, near, most, count)
        if place is None:
            raise ValueError(f"one token of the text needs more than `max_tokens` = {most} with those around it")
        yield strip(text, (start, place)) or (start, place)
        rest = strip(text, (place, end))
        if rest is None:
            return
        start, end = rest


def longest(text: str, start: int, places: list[int], most: int, count: Count) -> int | None:
    """The last of the places up to which the text fits, given that more text is no fewer tokens."""
    low, high = 0, len(places)
    while low < high:
        middle = (low + high) // 2
        if count(text[start : places[middle]]) <= most:
            low = middle + 1
        else:
            high = middle
    return places[low - 1] if low else None
