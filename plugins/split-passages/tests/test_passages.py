"""`passages` in any Python: `python3 -m unittest discover plugins/split-passages/tests`."""

import random
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

from passages import cosine, passages, sentences


def ends(text: str) -> list[int]:
    """A tokenizer of words in pieces of four letters, and of single other characters."""
    return [found.end() for found in re.finditer(r"\w{1,4}|[^\w\s]", text)]


def count(text: str) -> int:
    return len(ends(text)) + 2


def cut(text: str, most: int = 12, overlap: int = 0, breaks=()) -> list[str]:
    found = passages(text, most, overlap, ends, count, frozenset(breaks))
    for passage in found:
        assert passage.text == text[passage.start : passage.end] and passage.tokens == count(passage.text) <= most
    return [passage.text for passage in found]


def said(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


class Sentences(unittest.TestCase):
    def test_they_end_where_people_end_them(self):
        for text, expected in [
            ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
            ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
            ("Dr. Zoë met J. Doe at 5 p.m. on Monday.", ["Dr. Zoë met J. Doe at 5 p.m. on Monday."]),
            ("It is 3.5 GB, e.g. version 1.2.3.", ["It is 3.5 GB, e.g. version 1.2.3."]),
            ("A title\n\nand its text\nover two lines.", ["A title", "and its text\nover two lines."]),
            ("今日は晴れ。明日は雨！「はい。」終わり", ["今日は晴れ。", "明日は雨！", "「はい。」", "終わり"]),
            ("🙂! 🙂", ["🙂!", "🙂"]),
            (" \n\t ", []),
            ("", []),
        ]:
            self.assertEqual(said(text), expected)

    def test_long_texts_take_time_by_their_length(self):
        for text in ["a" * 500_000, ". " * 250_000, "\n " * 250_000, "!\"" * 250_000, "A. " * 200_000]:
            sentences(text)


class Passages(unittest.TestCase):
    def test_they_are_as_few_as_can_be(self):
        text = "One two. Three four. Five six. Seven."
        self.assertEqual(cut(text, 11), ["One two. Three four.", "Five six. Seven."])
        self.assertEqual(cut(text, 100), [text])

    def test_they_repeat_sentences(self):
        text = "A b. C d. E f. G h."
        self.assertEqual(cut(text, 8, 1), ["A b. C d.", "C d. E f.", "E f. G h."])
        # Where there is no room for a sentence and the next, nothing is repeated.
        self.assertEqual(cut(text, 7, 1), ["A b.", "C d.", "E f.", "G h."])

    def test_they_begin_at_breaks(self):
        text = "A b. C d. E f. G h."
        self.assertEqual(cut(text, 100, 0, [2]), ["A b. C d.", "E f. G h."])
        self.assertEqual(cut(text, 100, 3, [2]), ["A b. C d.", "E f. G h."])
        self.assertEqual(cut(text, 8, 1, [1]), ["A b.", "C d. E f.", "E f. G h."])

    def test_a_sentence_that_is_too_long_is_cut_between_words_else_within_one(self):
        self.assertEqual(cut("abcd efgh ijkl mnop", 4), ["abcd efgh", "ijkl mnop"])
        self.assertEqual(cut("abcdefgh ijkl", 4), ["abcdefgh", "ijkl"])
        self.assertEqual(cut("abcdefghijklmnop", 4), ["abcdefgh", "ijklmnop"])
        # A break is a sentence's, though the one before it is two parts.
        self.assertEqual(cut("Abcd efgh ijkl mnop. Qrst.", 6, 0, [1]), ["Abcd efgh ijkl", "mnop.", "Qrst."])
        with self.assertRaisesRegex(ValueError, "`max_tokens` = 2"):
            cut("a", 2)

    def test_every_word_of_any_text_is_in_one(self):
        words = ["a", "bcdefghi", "Dr.", "end.", "Ja!", "\n\n", "雨。", "🙂", "é", "x" * 40, "...", "\u200b", "--"]
        for seed in range(300):
            chance = random.Random(seed)
            text = " ".join(chance.choice(words) for _ in range(chance.randrange(60)))
            most, overlap = chance.randrange(4, 30), chance.randrange(3)
            cut(text, most, overlap)
            alone = passages(text, most, 0, ends, count, frozenset())
            joined = "".join("".join(passage.text.split()) for passage in alone)
            self.assertEqual(joined, "".join(text.split()), seed)


class Cosine(unittest.TestCase):
    def test_it_is_one_for_the_same_direction(self):
        self.assertAlmostEqual(cosine([1, 2], [2, 4]), 1)
        self.assertAlmostEqual(cosine([1, 0], [0, 3]), 0)
        self.assertEqual(cosine([0, 0], [1, 1]), 0)


if __name__ == "__main__":
    unittest.main()
