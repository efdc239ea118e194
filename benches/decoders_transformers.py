"""The peer of decoders.py: transformers, all texts in one batch.

Reads `{model, dtype, threads, new, texts}` and prints `{tokens, prompt, new}`: tokens of the prompts, and tokens/s.
"""

import json
import sys
import time

import torch
import transformers


def main():
    call = json.load(sys.stdin)
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(call["threads"])
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[call["dtype"]]
    tokenizer = transformers.AutoTokenizer.from_pretrained(call["model"], padding_side="left")
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    model = transformers.AutoModelForCausalLM.from_pretrained(call["model"], dtype=dtype)
    inputs = tokenizer(call["texts"], return_tensors="pt", padding=True)

    def generate(new):
        start = time.perf_counter()
        with torch.inference_mode():
            model.generate(**inputs, do_sample=False, min_new_tokens=new, max_new_tokens=new)
        return time.perf_counter() - start

    # As with the others, the prompt is read by a process that has computed nothing yet. What later tokens cost is the
    # difference of runs after it.
    first = generate(1)
    rest = -generate(1) + generate(call["new"]) if call["new"] > 1 else 0
    tokens, new = int(inputs["attention_mask"].sum()), len(call["texts"]) * (call["new"] - 1)
    print(json.dumps({"tokens": tokens, "prompt": tokens / first, "new": new / rest if new else 0}))


main()
