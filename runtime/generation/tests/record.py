"""Records what transformers' own classes compute, for the tests of this crate: `python record.py`, with transformers 5.

- processors.jsonl: parameters, a sequence and scores, and what `_get_logits_processor` makes of them. Each processor
  alone, then random ones together. `logit_bias` and the penalties of OpenAI, which transformers does not have, are
  written here a second time.
- searches.jsonl: what `generate` finds, greedily and with beams, in a model whose scores are a function of the last two
  tokens and the length (`table`), which the tests compute too.
- draws.jsonl: how often each result comes when beams are sampled.
- stops.jsonl: where `StopStringCriteria` ends texts of random pieces.
- lookups.jsonl: guesses of prompt lookup.
"""

import collections
import json
import math
import pathlib
import random
import sys
import types
import warnings

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, logging
from transformers.generation import logits_process as lp
from transformers.generation.candidate_generator import PromptLookupCandidateGenerator
from transformers.generation.stopping_criteria import StopStringCriteria
from transformers.generation.utils import GenerationMixin
from transformers.modeling_outputs import CausalLMOutput

HERE = pathlib.Path(__file__).parent / "recorded"
warnings.filterwarnings("ignore")
logging.set_verbosity_error()


def some_of(rng, choices, least, most):
    return {name: choice() for name, choice in rng.sample(sorted(choices.items()), rng.randint(least, most))}


# Processors


class LogitBias(lp.LogitsProcessor):
    def __init__(self, biases):
        self.biases = biases

    def __call__(self, input_ids, scores):
        scores = scores.clone()
        for token, bias in self.biases:
            scores[:, token] += bias
        return scores


class CountPenalties(lp.LogitsProcessor):
    """score - presence * (whether it was generated) - frequency * (how often)"""

    def __init__(self, presence, frequency, prompt):
        self.presence, self.frequency, self.prompt = presence, frequency, prompt

    def __call__(self, input_ids, scores):
        counts = torch.bincount(input_ids[0, self.prompt :], minlength=scores.shape[-1])
        return scores - self.presence * (counts > 0) - self.frequency * counts


OURS = ("logit_bias", "presence_penalty", "frequency_penalty")


class Chains(GenerationMixin):
    config = types.SimpleNamespace(is_encoder_decoder=True)


def chain_of(params, prompt, encoder):
    config = GenerationConfig(**{name: value for name, value in params.items() if name not in OURS})
    config.update(**GenerationConfig._get_default_generation_params(), defaults_only=True)
    config._eos_token_tensor = torch.tensor(params["eos_token_id"])
    config.max_length = params["max_new_tokens"] + prompt
    if "min_new_tokens" in params:
        config.min_length = params["min_new_tokens"] + prompt
    chain = Chains()._get_logits_processor(config, prompt, torch.tensor([encoder]), None, None, "cpu", {})
    first = sum(isinstance(each, lp.SequenceBiasLogitsProcessor) for each in chain[:1])
    behind = max(
        [first]
        + [
            place + 1
            for place, each in enumerate(chain)
            if isinstance(each, (lp.RepetitionPenaltyLogitsProcessor, lp.EncoderRepetitionPenaltyLogitsProcessor))
        ]
    )
    if "presence_penalty" in params or "frequency_penalty" in params:
        counts = CountPenalties(params.get("presence_penalty", 0), params.get("frequency_penalty", 0), prompt)
        chain.insert(behind, counts)
    if "logit_bias" in params:
        chain.insert(first, LogitBias(params["logit_bias"]))
    return chain


def processor_choices(rng, vocabulary):
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
        "presence_penalty": lambda: round(rng.uniform(-2, 2), 2),
        "frequency_penalty": lambda: round(rng.uniform(-2, 2), 2),
        "logit_bias": lambda: [[token, round(rng.uniform(-9, 9), 2)] for token in sorted(set(tokens(6)))],
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
    return sampling, rest


def processor_case(rng, vocabulary, choose):
    params = {"top_k": 0, "eos_token_id": rng.sample(range(vocabulary), rng.randint(1, 3))}
    params |= choose(*processor_choices(rng, vocabulary))
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
    scores = (torch.randn(1, vocabulary, dtype=torch.float64) * scale * 1e3).round().div(1e3).float()
    # Which of equal scores torch puts first where it sorts is not defined.
    sorts = params.keys() & {"top_p", "top_h", "typical_p", "min_p", "epsilon_cutoff", "eta_cutoff"}
    if sorts and params.keys() & {"forced_bos_token_id", "forced_eos_token_id"}:
        return None
    if rng.random() < 0.2 and not sorts:  # ties
        scores = scores.mul(2).round().div(2)
    if rng.random() < 0.2:
        scores[0, rng.sample(range(vocabulary), vocabulary // 4)] = -math.inf
    chain = chain_of(params, prompt, encoder)
    found = chain(torch.tensor([sequence]), scores)[0]
    kept = [index for index in range(vocabulary) if found[index] > -math.inf]
    if not kept or not found[kept].isfinite().all():
        return None
    probs = found.double().softmax(-1)
    return {
        "params": params,
        "prompt": prompt,
        "sequence": sequence,
        "encoder": encoder,
        "scores": [None if x == -math.inf else round(x, 3) for x in scores[0].tolist()],
        "kept": kept if len(kept) < vocabulary else None,
        "found": [float(f"{found[index]:.7g}") for index in kept],
        "probs": [float(f"{probs[index]:.6g}") for index in kept] if len(kept) < 50 else None,
    }


def processors(cases):
    rng = random.Random(20)
    torch.manual_seed(20)
    sampling, rest = (sorted(each) for each in processor_choices(rng, 40))
    alone = lambda name: lambda sampling, rest: (
        {"do_sample": True, name: sampling[name]()} if name in sampling else {name: rest[name]()}
    )

    def together(sampling, rest):
        params = some_of(rng, rest, 0, 5)
        return params | ({"do_sample": True} | some_of(rng, sampling, 1, 4) if rng.random() < 0.75 else {})

    plans = [alone(name) for name in sampling + rest for _ in range(3 * cases)] + [together] * 150 * cases
    for number, choose in enumerate(plans):
        case = None
        while case is None:
            try:
                case = processor_case(rng, 1000 if number % 60 == 59 else rng.choice([24, 40]), choose)
            except (ValueError, IndexError):  # transformers refuses it
                pass
        yield case


# Searches


def table(seed, vocabulary, before, last, length):
    """Scores of each token, [rows, vocabulary]; in whole 8192ths, so that they are the same everywhere."""
    mask = 0xFFFFFFFF
    x = torch.full((len(last), 1), seed, dtype=torch.int64)
    for value in (before[:, None], last[:, None], torch.tensor(length), torch.arange(vocabulary)[None]):
        x = ((x ^ value) * 0x85EBCA6B) & mask
        x = x ^ (x >> 13)
    return ((x >> 8 & 0xFFFF) - 32768).float() / 8192


class Table(GPT2LMHeadModel):
    def forward(self, input_ids=None, **_):
        before = input_ids[:, -2] if input_ids.shape[1] > 1 else torch.zeros_like(input_ids[:, -1])
        logits = table(self.seed, self.config.vocab_size, before, input_ids[:, -1], input_ids.shape[1])
        return CausalLMOutput(logits=logits[:, None])


def table_model(vocabulary, seed):
    sizes = {"n_positions": 64, "n_embd": 4, "n_layer": 1, "n_head": 1}
    model = Table(GPT2Config(vocab_size=vocabulary, bos_token_id=None, eos_token_id=None, **sizes))
    model.seed = seed
    return model


def search_params(rng, vocabulary):
    token = lambda: rng.randrange(vocabulary)
    params = {"num_beams": rng.choice([1, 2, 2, 3, 4, 5, 6]), "eos_token_id": rng.sample(range(vocabulary), rng.randint(0, 3))}
    if params["num_beams"] > 1:
        params |= {
            "early_stopping": rng.choice([False, True, "never"]),
            "length_penalty": rng.choice([1.0, 1.0, 0.0, -0.7, 0.5, 2.0, 3.0]),
            "num_return_sequences": rng.randint(1, params["num_beams"]),
        }
    params |= rng.choice([{"max_new_tokens": rng.randint(1, 14)}, {"max_length": rng.randint(4, 16)}])
    extra = {
        "repetition_penalty": lambda: rng.choice([0.8, 1.3, 2.0]),
        "no_repeat_ngram_size": lambda: rng.randint(1, 3),
        "min_new_tokens": lambda: rng.randint(1, 5),
        "min_length": lambda: rng.randint(2, 9),
        "suppress_tokens": lambda: rng.sample(range(vocabulary), 2),
        "begin_suppress_tokens": lambda: rng.sample(range(vocabulary), 4),
        "bad_words_ids": lambda: [[token(), token()] for _ in range(8)],
        "sequence_bias": lambda: [[[token(), token()], 3.5], [[token()], -2.5]],
        "forced_bos_token_id": token,
        "forced_eos_token_id": token,
        "encoder_no_repeat_ngram_size": lambda: 2,
        "encoder_repetition_penalty": lambda: 1.5,
        "renormalize_logits": lambda: True,
    }
    if params["eos_token_id"]:
        extra["exponential_decay_length_penalty"] = lambda: [rng.randint(0, 4), 1.3]
    if rng.random() < 0.6:
        params |= some_of(rng, extra, 1, 3)
    if "min_new_tokens" in params:
        params.pop("min_length", None)
    return params


def searches(cases):
    rng = random.Random(21)
    while cases:
        vocabulary, seed = rng.choice([12, 30]), rng.randrange(1 << 20)
        model, params = table_model(vocabulary, seed), search_params(rng, vocabulary)
        prompt = [rng.randrange(vocabulary) for _ in range(rng.choice([1, 1, 2, 3]))]
        given = params | {"eos_token_id": params["eos_token_id"] or None}
        if "sequence_bias" in given:
            given["sequence_bias"] = json.loads(json.dumps(given["sequence_bias"]))
        try:
            out = model.generate(
                torch.tensor([prompt]),
                attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
                pad_token_id=vocabulary - 1, use_cache=False, do_sample=False,
                output_scores=True, return_dict_in_generate=True, **given,
            )
        except (ValueError, IndexError):  # transformers refuses it
            continue
        rows, scores = [row[len(prompt) :] for row in out.sequences.tolist()], None
        if params["num_beams"] > 1:
            lengths = [sum(index >= 0 for index in row) for row in out.beam_indices.tolist()]
            rows = [row[:length] for row, length in zip(rows, lengths)]
            scores = [float(f"{x:.7g}") for x in out.sequences_scores.tolist()]
            # Ties, and places that no sequence took, are of no use.
            if not all(abs(score) < 1e6 for score in scores) or len(set(scores)) < len(scores):
                continue
        cases -= 1
        yield {"seed": seed, "vocabulary": vocabulary, "params": params, "prompt": prompt, "sequences": rows, "scores": scores}


def draws(cases):
    rng = random.Random(23)
    for case in range(cases):
        vocabulary, seed = 6, 100 + case
        model = table_model(vocabulary, seed)
        params = {
            "do_sample": True,
            "num_beams": [2, 3, 2, 2][case % 4],
            "eos_token_id": [1],
            "max_new_tokens": [1, 2, 2, 3][case % 4],
            "temperature": [1.0, 1.0, 1.7, 0.8][case % 4],
            "top_k": [0, 0, 3, 0][case % 4],
            "top_p": [1.0, 1.0, 1.0, 0.9][case % 4],
            "length_penalty": [1.0, 0.5, 1.0, 1.0][case % 4],
        }
        torch.manual_seed(case)
        counts, runs, batch = collections.Counter(), 20_000, 2000
        for _ in range(runs // batch):
            prompts = torch.tensor([[2, 3]] * batch)
            out = model.generate(
                prompts, attention_mask=torch.ones_like(prompts), pad_token_id=5, use_cache=False,
                output_scores=True, return_dict_in_generate=True, **params,
            )
            lengths = (out.beam_indices >= 0).sum(1).tolist()
            counts.update(tuple(row[2 : 2 + length]) for row, length in zip(out.sequences.tolist(), lengths))
        yield {"seed": seed, "vocabulary": vocabulary, "params": params, "prompt": [2, 3], "runs": runs,
               "counts": [[list(row), count] for row, count in sorted(counts.items())]}


# Stop strings


def stops(cases):
    rng = random.Random(24)
    text = lambda most: "".join(rng.choice("ab c!é") for _ in range(rng.randint(1, most)))
    while cases:
        # `StopStringCriteria` finds out what a token adds to a text by putting it behind `abcdef`.
        pieces = sorted({text(4) for _ in range(12)} | set("abcdef !é"))
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
        tokenizer.decoder = decoders.Fuse()
        strings = [text(5) for _ in range(rng.randint(1, 3))]
        criteria = StopStringCriteria(PreTrainedTokenizerFast(tokenizer_object=tokenizer), strings)
        sequence = [rng.randrange(len(pieces)) for _ in range(24)]
        ends = [length for length in range(1, 25) if criteria(torch.tensor([sequence[:length]]), None)[0]]
        cases -= 1
        yield {"pieces": pieces, "strings": strings, "sequence": sequence, "ends": ends}


def lookups(cases):
    rng = random.Random(22)
    for _ in range(cases):
        sequence = [rng.randrange(6) for _ in range(rng.randint(1, 30))]
        tokens, ngram = rng.randint(1, 8), rng.randint(1, 4)
        generator = PromptLookupCandidateGenerator(torch.tensor([5]), tokens, ngram, max_length=1000)
        found = generator.get_candidates(torch.tensor([sequence]))[0][0].tolist()
        yield {"sequence": sequence, "tokens": tokens, "ngram": ngram, "found": found[len(sequence) :]}


def write(name, cases):
    cases = [json.dumps(case, separators=(",", ":"), ensure_ascii=False) for case in cases]
    HERE.mkdir(exist_ok=True)
    (HERE / name).write_text("\n".join(cases) + "\n")
    print(f"{len(cases)} cases in {name}", file=sys.stderr)


if __name__ == "__main__":
    scale = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    write("processors.jsonl", processors(scale))
    write("searches.jsonl", searches(300 * scale))
    write("draws.jsonl", draws(4))
    write("stops.jsonl", stops(60 * scale))
    write("lookups.jsonl", lookups(60 * scale))
