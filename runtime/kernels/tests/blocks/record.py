"""Records what blocks of random bytes stand for, as the package `gguf` has it: `python record.py > recorded.txt`.

A line is a type, the bytes of some blocks, and their numbers as singles, both in hexadecimal. `gguf` leaves out Q8_1 and
Q8_K, which no file should have.
"""

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
# Where a block has halves.
HALVES = {"Q4_1": [0, 2], "Q5_1": [0, 2], "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}

random = numpy.random.default_rng(7)
for name in TYPES:
    kind = GGMLQuantizationType[name]
    elements, size = GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (3 if elements == 32 else 1, size), dtype=numpy.uint8)
    for at in HALVES.get(name, [0]):
        halves = random.normal(0, 0.1, (len(blocks), 1)).astype(numpy.float16)
        blocks[:, at : at + 2] = halves.view(numpy.uint8)
    numbers = dequantize(blocks, kind).astype("<f4")
    print(name, blocks.tobytes().hex(), numbers.tobytes().hex())
