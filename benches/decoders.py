#!/usr/bin/env python3
"""Measures `runtime generate` beside llama.cpp, or transformers, on the same weights, threads and tokens, alternating in
one run.

    cargo build --release
    python3 -m venv /tmp/llama && /tmp/llama/bin/pip install llama-cpp-python        # compiles for 20 minutes
    python3 benches/decoders.py --llama-cpp /tmp/llama/bin/python --model SmolLM2-135M-Instruct.Q4_1.gguf
    python3 benches/decoders.py --transformers /tmp/venv/bin/python --model ./SmolLM2-135M-Instruct

Prints medians over the rounds, and medians of the rounds' ratios, ours over theirs (for times theirs over ours), so that
more than 1 means that this program is faster:

    prompt      tokens/s at which a prompt of some 512 tokens is read
    new tokens  tokens/s of one request behind it, greedy
    eight       new tokens/s of eight greedy requests at once: one batch with transformers, sequences of one context with
                llama.cpp; ours is the time that more new tokens take than one
    start       seconds from the start of the process to the end of an answer of one token to a short prompt; the peer is a
                Python process, as it is used from there

The peers are in decoders_llama_cpp.py and decoders_transformers.py. Loading is in `start` alone.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TEXT = "The committee met on Monday to discuss the budget, the harbour, and the new library. " * 28
SHORT = "The capital of France is"
EIGHT = [f"A story about the number {number}. Once upon a time" for number in range(8)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=HERE.parent / "target/release/runtime")
    parser.add_argument("--llama-cpp", help="a Python with llama-cpp-python")
    parser.add_argument("--transformers", help="a Python with torch and transformers")
    parser.add_argument("--model", required=True, help="a GGUF file for llama.cpp, a folder for transformers")
    parser.add_argument("--dtype", default="f32", help="for a folder: what both compute in, f32 or bf16")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--new-tokens", type=int, default=64)
    args = parser.parse_args()
    if bool(args.llama_cpp) == bool(args.transformers):
        parser.error("name one peer: --llama-cpp or --transformers")

    rows = {"prompt": [], "new tokens": [], "eight": [], "start": []}
    for _ in range(args.rounds):
        ours, theirs = own(args, TEXT, args.new_tokens), peer(args, [TEXT], args.new_tokens)
        rows["prompt"].append((ours["prompt"], theirs["prompt"]))
        rows["new tokens"].append((ours["new"], theirs["new"]))
        rows["eight"].append((own_eight(args), peer(args, EIGHT, args.new_tokens)["new"]))
        rows["start"].append((timed(own, args, SHORT, 1), timed(peer, args, [SHORT], 1)))
    print(f"{args.threads} threads, {args.rounds} rounds, a prompt of {ours['tokens']} tokens ({theirs['tokens']} there)")
    for name, pairs in rows.items():
        ratios = [theirs / ours if name == "start" else ours / theirs for ours, theirs in pairs]
        ours, theirs = (statistics.median(side) for side in zip(*pairs))
        print(f"{name:>10}: ours {ours:.4g}, theirs {theirs:.4g}, ratio {statistics.median(ratios):.2f}"
              f" ({min(ratios):.2f} to {max(ratios):.2f})")


def run(args, new, *more):
    command = [args.binary, "generate", "--model", args.model, "--dtype", args.dtype, "--stats", "--no-stream",
               "--temperature", "0", "--param", f"min_new_tokens={new}", "--max-new-tokens", str(new), *more]
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def own(args, text, new):
    told = run(args, new, text).stderr
    found = re.search(r"(\d+) prompt tokens in .*?\(([\d,.]+) tokens/s\), \d+ new tokens? in [^(]*(?:\(([\d,.]+) tokens/s\))?",
                      told)
    number = lambda text: float(text.replace(",", "")) if text else 0.0
    return {"tokens": int(found[1]), "prompt": number(found[2]), "new": number(found[3])}


def own_eight(args):
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in EIGHT)
        file.flush()
        one = timed(run, args, 1, "--input", file.name)
        all = timed(run, args, args.new_tokens, "--input", file.name)
    return len(EIGHT) * (args.new_tokens - 1) / (all - one)


def peer(args, texts, new):
    python, script = ((args.llama_cpp, "decoders_llama_cpp.py") if args.llama_cpp
                      else (args.transformers, "decoders_transformers.py"))
    call = json.dumps({"model": args.model, "dtype": args.dtype, "threads": args.threads, "new": new, "texts": texts})
    done = subprocess.run([python, HERE / script], input=call, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def timed(run, *arguments):
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
