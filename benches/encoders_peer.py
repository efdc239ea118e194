#!/usr/bin/env python3
"""ONNX Runtime's side of `benches/encoders.py`: runs a model on token ids, on request, as `bench-worker` does.

    python encoders_peer.py MODEL.onnx BATCH_SIZE THREADS

A line of stdin with a list of token-id lists makes them the workload, `null` runs it once; each line is answered with the
seconds that it took. Sequences are sorted by length and padded in batches of BATCH_SIZE; making the batches is not timed.
"""

import json
import sys
import time

import numpy
import onnxruntime


def main():
    path, batch_size, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    dtype = numpy.int32 if "int32" in session.get_inputs()[0].type else numpy.int64
    batches = []
    for line in sys.stdin:
        start = time.perf_counter()
        workload = json.loads(line)
        if workload is None:
            for batch in batches:
                session.run(None, batch)
        else:
            batches = padded(workload, batch_size, names, dtype)
        print(time.perf_counter() - start, flush=True)


def padded(workload, batch_size, names, dtype):
    workload = sorted(workload, key=len)
    batches = []
    for first in range(0, len(workload), batch_size):
        texts = workload[first : first + batch_size]
        shape = (len(texts), max(map(len, texts)))
        ids, mask = numpy.zeros(shape, dtype), numpy.zeros(shape, dtype)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
            mask[row, : len(text)] = 1
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros(shape, dtype)}
        batches.append({name: batch[name] for name in names})
    return batches


main()
