#!/usr/bin/env python3
"""The peer of `pipelines/triage.toml`: zero-shot triage with Hugging Face transformers on the CPU.

    pip install torch transformers
    python benches/triage_peer.py --model pipelines/models/triage-nli --input pipelines/data/tickets.jsonl

Prints one JSON line per ticket (its `id` if it has one, the best `label`, its `score`), each as soon as it is known;
and at the end one JSON line on stderr:

    first_answer_s   from the start of the process, so with the imports and the loading, to the first answer
    records_per_s    from the loaded model to the last answer
    peak_rss_mb      the most memory held, in MB of 10^6 bytes

A batch of the pipeline counts (ticket, label) pairs: `--batch-size 8` is fewer than two tickets of five labels.
"""

import time

STARTED = time.time()

import argparse
import json
import os
import resource
import sys

LABELS = ["billing", "bug report", "feature request", "account access", "other"]


def process_age():
    """Seconds since the process started, by the kernel's clock where /proc has it; else since the first line above."""
    try:
        with open("/proc/self/stat") as stat, open("/proc/uptime") as uptime:
            ticks = int(stat.read().rpartition(")")[2].split()[19])
            return float(uptime.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except OSError:
        return time.time() - STARTED


def peak_rss_mb():
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def arguments():
    parser = argparse.ArgumentParser(description="Zero-shot triage of tickets with transformers.")
    parser.add_argument("--model", required=True, help="folder of the model")
    parser.add_argument("--input", required=True, help="JSON lines with a field `text`")
    parser.add_argument("--batch-size", type=int, default=1, help="(ticket, label) pairs in a batch (default: 1)")
    parser.add_argument("--template", default="This support ticket is about {}.")
    parser.add_argument("--labels", nargs="+", default=LABELS)
    parser.add_argument("--dtype", default="float32", help="float32 (default), bfloat16 or float16")
    parser.add_argument("--threads", type=int, help="threads of PyTorch (default: its own choice)")
    return parser.parse_args()


def main():
    args = arguments()
    with open(args.input, encoding="utf-8") as lines:
        tickets = [json.loads(line) for line in lines if line.strip()]

    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch
    from transformers import pipeline
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    if args.threads:
        torch.set_num_threads(args.threads)
    classify = pipeline("zero-shot-classification", model=args.model, device="cpu", dtype=args.dtype)

    loaded = time.perf_counter()
    first_answer = None
    answers = classify(
        (ticket["text"] for ticket in tickets),
        candidate_labels=args.labels,
        hypothesis_template=args.template,
        batch_size=args.batch_size,
    )
    for ticket, answer in zip(tickets, answers):
        record = {"id": ticket["id"]} if "id" in ticket else {}
        record |= {"label": answer["labels"][0], "score": round(answer["scores"][0], 6)}
        print(json.dumps(record), flush=True)
        if first_answer is None:
            first_answer = process_age()
    seconds = time.perf_counter() - loaded

    figures = {
        "first_answer_s": first_answer and round(first_answer, 3),
        "records_per_s": round(len(tickets) / seconds, 2),
        "peak_rss_mb": round(peak_rss_mb(), 1),
    }
    print(json.dumps(figures), file=sys.stderr)


if __name__ == "__main__":
    main()
