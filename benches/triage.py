#!/usr/bin/env python3
"""Measures `runtime run pipelines/triage.toml` beside the zero-shot pipeline of transformers, alternating in one run.

    cargo build --release
    python3 -m venv /tmp/peer && /tmp/peer/bin/pip install torch transformers
    python3 benches/triage.py --peer /tmp/peer/bin/python

Prints medians over the rounds, and medians of the ratios of each round:

    first answer    seconds from the start of the process to the first answer that can be read from its stdout
    records/s       this program: over the whole process less the time to the first answer; the peer: once its model is
                    loaded, which it reports itself, for each batch size
    peak memory     MB of 10^6 bytes, from the operating system's accounting of the process
    plugin          the same with the plugin form of BERT: records/s against the built-in form
    reload          ms from an edit of the threshold under --watch to the last of the new answers
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PIPELINE = ROOT / "pipelines/triage.toml"
MODEL = ROOT / "pipelines/models/triage-nli"
TICKETS = ROOT / "pipelines/data/tickets.jsonl"
PLUGIN = ROOT / "target/wasm32-wasip2/guest/bert_plugin.wasm"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "target/release/runtime")
    parser.add_argument("--peer", help="a Python with torch and transformers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32])
    args = parser.parse_args()

    rounds = []
    for number in range(args.rounds + 1):
        measured = {"ours": ours(args.binary, [])}
        if PLUGIN.exists():
            measured["plugin"] = ours(args.binary, ["--set", f"models.nli.plugin='{PLUGIN}'"])
        if args.peer:
            for size in args.batch_sizes:
                measured[f"peer, batch {size}"] = peer(args.peer, size)
        if number > 0:  # The first warms the disk cache.
            rounds.append(measured)

    tickets = sum(1 for _ in TICKETS.open(encoding="utf-8"))
    print(f"{tickets} tickets, {len(rounds)} rounds, {os.cpu_count()} cores")
    for name in rounds[0]:
        medians = {key: statistics.median(round[name][key] for round in rounds) for key in rounds[0][name]}
        against = {key: statistics.median(round["ours"][key] / round[name][key] for round in rounds) for key in medians}
        line = "  ".join(f"{key} {medians[key]:.3g} (ours / this: {against[key]:.2f})" for key in medians)
        print(f"{name:>15}: {line}")
    edits = reloads(args.binary, 10)
    print(f"         reload: median {statistics.median(edits)} ms, worst {max(edits)} ms over {len(edits)} edits")


def ours(binary, options):
    command = [binary, "run", PIPELINE, "--format", "jsonl", *options]
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=offline()) as process:
        process.stdout.readline()
        first = time.perf_counter() - start
        rest = len(process.stdout.readlines())
        seconds = time.perf_counter() - start - first
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0 and rest > 0, "the run failed"
    return {"first answer": first, "records/s": rest / seconds, "peak memory": usage.ru_maxrss * 1024 / 1e6}


def peer(python, batch_size):
    script = ROOT / "benches/triage_peer.py"
    command = [python, script, "--model", MODEL, "--input", TICKETS, "--batch-size", str(batch_size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=offline())
    measured = json.loads(done.stderr.strip().splitlines()[-1])
    return {
        "first answer": measured["first_answer_s"],
        "records/s": measured["records_per_s"],
        "peak memory": measured["peak_rss_mb"],
    }


def reloads(binary, edits):
    """Edits the threshold of a running pipeline, and reads from stderr how long the new answers took."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        shutil.copytree(ROOT / "pipelines/data", folder / "data")
        (folder / "models").symlink_to(ROOT / "pipelines/models")
        text = PIPELINE.read_text(encoding="utf-8")
        pipeline = folder / "triage.toml"
        pipeline.write_text(text, encoding="utf-8")
        command = [binary, "run", pipeline, "--watch"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=offline()
        )
        try:
            wait_for(process, r"^\d+ records in")
            times = []
            for edit in range(edits):
                pipeline.write_text(text.replace("threshold = 0.75", f"threshold = 0.{50 + edit}"), encoding="utf-8")
                times.append(int(wait_for(process, r"records answered (\d+) ms after the change").group(1)))
            return times
        finally:
            process.kill()
            process.wait()


def wait_for(process, pattern):
    for line in process.stderr:
        if found := re.search(pattern, line):
            return found
        assert "models loaded" not in line or "0 models loaded" in line, f"weights were loaded again: {line}"
    raise AssertionError(f"the process ended before it said `{pattern}`")


def offline():
    return {**os.environ, "HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    main()
