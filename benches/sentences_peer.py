#!/usr/bin/env python3
"""sentence-transformers' side of `benches/encoders.py`: seconds to encode the texts of a file, once the model is loaded."""

import json
import sys
import time

from sentence_transformers import SentenceTransformer

model = SentenceTransformer(sys.argv[1], device="cpu")
texts = [json.loads(line)["text"] for line in open(sys.argv[2], encoding="utf-8")]
model.encode(texts[:32])
start = time.perf_counter()
model.encode(texts, batch_size=32)
print(time.perf_counter() - start)
