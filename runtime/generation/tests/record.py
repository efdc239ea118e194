"""Records what transformers' own classes compute, for the tests of this crate: `python record.py`, with transformers 5.

processors.jsonl: random parameters and scores, and what `_get_logits_processor` makes of them. beams.jsonl: random
tables of scores as a model, and what `generate` finds in them with beams. lookups.jsonl: guesses of prompt lookup.
"""

import json
import math
import pathlib
import random
import sys
import types
import warnings

import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, logging
from transformers.generation.candidate_generator import PromptLookupCandidateGenerator
from transformers.generation.utils import GenerationMixin

HERE = pathlib.Path(__file__).parent
warnings.filterwarnings("ignore")
logging.set_verbosity_error()


def some_of(rng, choices, least, most):
    return {name: choice() for name, choice in rng.sample(sorted(choices.items()), rng.randint(least, most))}


def processor_params(rng, vocabulary):
    """Random parameters, most of which act."""
    token = lambda: rng.randrange(vocabulary)
    tokens = lambda n: [token() for _ in range(rng.randint(1, n))]
    sampling = {
        "temperature": lambda: round(rng.uniform(0.3, 2.0), 2),
        "top_h": lambda: round(rng.uniform(0.2, 0.95), 2),
        "top_k": lambda: rng.choice([0, 1, 3, 10, 25, 60, 200]),
        "top_p": lambda: round(rng.uniform(0.05, 0.99), 2),
        "min_p": lambda: round(rng.uniform(0.0, 0.4), 2),
        "typical_p": lambda: round(rng.uniform(0.1, 0.98), 2),
        "epsilon_cutoff": lambda: round(rng.uniform(0.0005, 0.05), 4),
        "eta_cutoff": lambda: round(rng.uniform(0.0005, 0.05), 4),
    }
    rest = {
        "repetition_penalty": lambda: round(rng.uniform(0.6, 1.8), 2),
        "encoder_repetition_penalty": lambda: round(rng.uniform(0.6, 1.8), 2),
        "no_repeat_ngram_size": lambda: rng.randint(1, 4),
        "encoder_no_repeat_ngram_size": lambda: rng.randint(1, 4),
        "bad_words_ids": lambda: [tokens(3) for _ in range(rng.randint(1, 5))],
        "sequence_bias": lambda: [[tokens(3), round(rng.uniform(-5, 5), 2)] for _ in range(rng.randint(1, 5))],
        "min_length": lambda: rng.randint(1, 16),
        "min_new_tokens": lambda: rng.randint(1, 6),
        "forced_bos_token_id": token,
        "forced_eos_token_id": lambda: rng.choice([token(), tokens(3)]),
        "exponential_decay_length_penalty": lambda: [rng.randint(0, 3), round(rng.uniform(0.8, 1.6), 2)],
        "suppress_tokens": lambda: tokens(6),
        "begin_suppress_tokens": lambda: tokens(6),
        "remove_invalid_values": lambda: True,
        "renormalize_logits": lambda: True,
        "num_beams": lambda: rng.randint(1, 3),
    }
    params = {"top_k": 0, "eos_token_id": rng.sample(range(vocabulary), rng.randint(1, 3))}
    params |= some_of(rng, rest, 0, 5)
    if rng.random() < 0.75:
        params |= {"do_sample": True} | some_of(rng, sampling, 1, 4)
    return params


def processors(cases):
    rng = random.Random(20)
    torch.manual_seed(20)
    while cases:
        vocabulary = rng.choice([40, 40, 150, 1200])
        params = processor_params(rng, vocabulary)
        prompt, new = rng.choice([1, 2, 6]), rng.randint(0, 6)
        few = rng.sample(range(vocabulary), 8)
        # Of few tokens, so that n-grams and sequences come again.
        sequence = [rng.choice(few) for _ in range(prompt + new)]
        encoder = [rng.choice(few) for _ in range(rng.randint(1, 12))]
        for words in params.get("bad_words_ids", []) + [bias[0] for bias in params.get("sequence_bias", [])]:
            if len(words) > 1 and rng.random() < 0.7:
                words[:-1] = sequence[-len(words) + 1 :] if len(sequence) >= len(words) - 1 else words[:-1]
        if "min_new_tokens" in params:
            params.pop("min_length", None)
        params["max_new_tokens"] = rng.choice([new + 1, new + 1, 20])
        scale = rng.choice([0.5, 1.5, 3.0])
        scores = (torch.randn(1, vocabulary, dtype=torch.float64) * scale * 1e4).round().div(1e4).float()
        if rng.random() < 0.2:  # ties
            scores = scores.mul(2).round().div(2)
        if rng.random() < 0.2:
            scores[0, rng.sample(range(vocabulary), vocabulary // 4)] = -math.inf

        config = GenerationConfig(**params)
        config.update(**GenerationConfig._get_default_generation_params(), defaults_only=True)
        model = types.SimpleNamespace(config=types.SimpleNamespace(is_encoder_decoder=True))
        config._eos_token_tensor = torch.tensor(params["eos_token_id"])
        config.max_length = params["max_new_tokens"] + prompt
        if "min_new_tokens" in params:
            config.min_length = params["min_new_tokens"] + prompt
        try:
            chain = GenerationMixin._get_logits_processor(
                model, config, prompt, torch.tensor([encoder]), None, None, "cpu", {}
            )
            found = chain(torch.tensor([sequence]), scores)[0]
        except (ValueError, IndexError):
            continue
        kept = [index for index in range(vocabulary) if found[index] > -math.inf]
        if not kept or found.isnan().any():
            continue
        probs = found.double().softmax(-1)
        cases -= 1
        yield {
            "params": params,
            "prompt": prompt,
            "sequence": sequence,
            "encoder": encoder,
            "scores": [None if x == -math.inf else x for x in map(lambda x: float(f"{x:.9g}"), scores[0].tolist())],
            "kept": kept if len(kept) < vocabulary else None,
            "found": [float(f"{found[index]:.7g}") for index in kept],
            "probs": [float(f"{probs[index]:.6g}") for index in kept] if len(kept) < 100 else None,
        }


class Table(GPT2LMHeadModel):
    """A model whose scores hang on the last two tokens and the length alone."""

    def forward(self, input_ids=None, **_):
        length = self.length
        rows = self.table[input_ids[:, -2], input_ids[:, -1]] + self.drift[length]
        self.length += 1
        return types.SimpleNamespace(logits=rows[:, None, :], past_key_values=None, get=lambda *_: None)


def beams(cases):
    rng = random.Random(21)
    generator = torch.Generator().manual_seed(21)
    config = GPT2Config(vocab_size=12, n_positions=64, n_embd=4, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=1)
    model = Table(config)
    while cases:
        vocabulary = 12
        draw = lambda *shape: (torch.randn(*shape, generator=generator) * 100).round() / 50
        model.table, model.drift, model.length = draw(vocabulary, vocabulary, vocabulary), draw(40, vocabulary), 0
        params = {
            "num_beams": rng.randint(2, 5),
            "max_new_tokens": rng.randint(1, 14),
            "early_stopping": rng.choice([False, True, "never"]),
            "length_penalty": rng.choice([1.0, 1.0, 0.0, -0.7, 0.5, 2.0, 3.0]),
            "eos_token_id": rng.sample(range(vocabulary), rng.randint(1, 2)),
        }
        params["num_return_sequences"] = rng.randint(1, params["num_beams"])
        extra = {
            "repetition_penalty": lambda: 1.3,
            "no_repeat_ngram_size": lambda: 2,
            "min_new_tokens": lambda: 3,
            "suppress_tokens": lambda: rng.sample(range(vocabulary), 2),
            "bad_words_ids": lambda: [[rng.randrange(vocabulary), rng.randrange(vocabulary)] for _ in range(8)],
        }
        if rng.random() < 0.5:
            params |= some_of(rng, extra, 1, 2)
        prompt = [rng.randrange(vocabulary) for _ in range(2)]
        out = model.generate(
            torch.tensor([prompt]), pad_token_id=11, use_cache=False, do_sample=False, output_scores=True,
            return_dict_in_generate=True, **params,
        )
        lengths = [sum(i >= 0 for i in row) for row in out.beam_indices.tolist()]
        cases -= 1
        yield {
            "params": params,
            "prompt": prompt,
            "table": [round(x * 50) for x in model.table.flatten().tolist()],
            "drift": [round(x * 50) for x in model.drift.flatten().tolist()],
            "sequences": [row[2 : 2 + length] for row, length in zip(out.sequences.tolist(), lengths)],
            "scores": [float(f"{x:.7g}") for x in out.sequences_scores.tolist()],
        }


def lookups(cases):
    rng = random.Random(22)
    for _ in range(cases):
        sequence = [rng.randrange(6) for _ in range(rng.randint(1, 30))]
        tokens, ngram = rng.randint(1, 8), rng.randint(1, 4)
        generator = PromptLookupCandidateGenerator(torch.tensor([5]), tokens, ngram, max_length=1000)
        found = generator.get_candidates(torch.tensor([sequence]))[0][0].tolist()
        yield {"sequence": sequence, "tokens": tokens, "ngram": ngram, "found": found[len(sequence) :]}


def write(name, cases):
    cases = [json.dumps(case, separators=(",", ":")) for case in cases]
    (HERE / name).write_text("\n".join(cases) + "\n")
    print(f"{len(cases)} cases in {name}", file=sys.stderr)


if __name__ == "__main__":
    scale = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    write("processors.jsonl", processors(100 * scale))
    write("beams.jsonl", beams(40 * scale))
    write("lookups.jsonl", lookups(60 * scale))
