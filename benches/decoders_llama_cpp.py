"""The peer of decoders.py: llama.cpp, all texts as sequences of one context, decoded together.

Reads `{model, threads, new, texts}` and prints `{tokens, prompt, new}`: tokens of the prompts, and tokens/s.
"""

import json
import sys
import time

import llama_cpp as llama
import numpy

BATCH = 512


def main():
    call = json.load(sys.stdin)
    silent = llama.llama_log_callback(lambda *_: None)  # as long as anything may be logged
    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(call["model"].encode(), llama.llama_model_default_params())
    vocab = llama.llama_model_get_vocab(model)
    prompts = [tokenize(vocab, text) for text in call["texts"]]
    settings = llama.llama_context_default_params()
    settings.n_ctx = sum(-(-(len(prompt) + call["new"]) // 256) * 256 for prompt in prompts)
    settings.n_batch = settings.n_ubatch = BATCH
    settings.n_seq_max = len(prompts)
    settings.n_threads = settings.n_threads_batch = call["threads"]
    context = llama.llama_init_from_model(model, settings)
    batch = llama.llama_batch_init(BATCH, 0, 1)
    width = llama.llama_vocab_n_tokens(vocab)

    def decode(rows):
        """The likeliest tokens behind the rows that ask: (token, position, sequence, asks)."""
        batch.n_tokens = len(rows)
        for at, (token, position, sequence, asks) in enumerate(rows):
            batch.token[at], batch.pos[at], batch.n_seq_id[at], batch.logits[at] = token, position, 1, asks
            batch.seq_id[at][0] = sequence
        assert llama.llama_decode(context, batch) == 0
        scores = lambda at: numpy.ctypeslib.as_array(llama.llama_get_logits_ith(context, at), (width,))
        return [int(scores(at).argmax()) for at, row in enumerate(rows) if row[3]]

    rows = [(token, position, sequence, position == len(prompt) - 1)
            for sequence, prompt in enumerate(prompts) for position, token in enumerate(prompt)]
    start = time.perf_counter()
    tokens = [token for first in range(0, len(rows), BATCH) for token in decode(rows[first:first + BATCH])]
    prompt_time = time.perf_counter() - start
    start = time.perf_counter()
    for step in range(call["new"] - 1):
        tokens = decode([(token, len(prompts[sequence]) + step, sequence, True) for sequence, token in enumerate(tokens)])
    rest = time.perf_counter() - start
    new = len(prompts) * (call["new"] - 1)
    print(json.dumps({"tokens": len(rows), "prompt": len(rows) / prompt_time, "new": new / rest if new else 0}))


def tokenize(vocab, text):
    text = text.encode()
    tokens = (llama.llama_token * (len(text) + 8))()
    count = llama.llama_tokenize(vocab, text, len(text), tokens, len(tokens), False, False)
    return list(tokens[:count])


main()
