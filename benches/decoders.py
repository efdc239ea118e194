#!/usr/bin/env python3
"""Measures `runtime generate` beside llama.cpp on the same GGUF file, threads and tokens, alternating in one run.

    cargo build --release
    python3 -m venv /tmp/llama && /tmp/llama/bin/pip install llama-cpp-python        # compiles for 20 minutes
    python3 benches/decoders.py --peer /tmp/llama/bin/python --model SmolLM2-135M-Instruct.Q4_1.gguf

Prints medians over the rounds, and medians of the rounds' ratios, ours over theirs (for times theirs over ours), so that
more than 1 means that this program is faster:

    prompt      tokens/s at which a prompt of some 512 tokens is read
    new tokens  tokens/s of one request behind it, greedy
    start       seconds from the start of the process to the end of an answer of one token to a short prompt; the peer is a
                Python process, as it is used from there

Both processes are told their own times for the first two: loading is not in them.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = "The committee met on Monday to discuss the budget, the harbour, and the new library. "
SHORT = "The capital of France is"

PEER = """
import json, sys, time
from llama_cpp import Llama
model, threads, new, text = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
llm = Llama(model, n_ctx=2048, n_threads=threads, n_threads_batch=threads, n_batch=512, verbose=False)
tokens = llm.tokenize(text.encode(), add_bos=False)
start = time.perf_counter()
llm.eval(tokens)
token = llm.sample(temp=0.0)
prompt = time.perf_counter() - start
start = time.perf_counter()
for _ in range(new - 1):
    llm.eval([token])
    token = llm.sample(temp=0.0)
rest = time.perf_counter() - start
print(json.dumps({"prompt": len(tokens) / prompt, "new": (new - 1) / rest if new > 1 else 0, "tokens": len(tokens)}))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "target/release/runtime")
    parser.add_argument("--peer", required=True, help="a Python with llama-cpp-python")
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--new-tokens", type=int, default=64)
    args = parser.parse_args()

    text = TEXT * 28
    rows = {"prompt": [], "new": [], "start": []}
    for _ in range(args.rounds):
        ours, theirs = own(args, text, args.new_tokens), peer(args, text, args.new_tokens)
        rows["prompt"].append((ours["prompt"], theirs["prompt"]))
        rows["new"].append((ours["new"], theirs["new"]))
        rows["start"].append((timed(own, args, SHORT, 1), timed(peer, args, SHORT, 1)))
    print(f"{args.threads} threads, {args.rounds} rounds, a prompt of {ours['tokens']} tokens ({theirs['tokens']} there)")
    for name, pairs in rows.items():
        ratios = [theirs / ours if name == "start" else ours / theirs for ours, theirs in pairs]
        ours, theirs = (statistics.median(side) for side in zip(*pairs))
        print(f"{name:>10}: ours {ours:.4g}, llama.cpp {theirs:.4g}, ratio {statistics.median(ratios):.2f}"
              f" ({min(ratios):.2f} to {max(ratios):.2f})")


def own(args, text, new):
    command = [args.binary, "generate", "--model", args.model, "--stats", "--no-stream", "--param", "do_sample=false",
               "--param", f"min_new_tokens={new}", "--max-new-tokens", str(new), text]
    environment = os.environ | {"RAYON_NUM_THREADS": str(args.threads)}
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
    found = re.search(r"(\d+) prompt tokens in .*?\(([\d,.]+) tokens/s\), (\d+) new tokens? in [^(]*(?:\(([\d,.]+) tokens/s\))?",
                      told)
    number = lambda text: float(text.replace(",", "")) if text else 0.0
    return {"tokens": int(found[1]), "prompt": number(found[2]), "new": number(found[4])}


def peer(args, text, new):
    command = [args.peer, "-c", PEER, args.model, str(args.threads), str(new), text]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def timed(run, *arguments):
    start = time.perf_counter()
    run(*arguments)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
