"""An expert of another family beside the policy: tiny models, whose rollouts a plain replay draws again."""

import random

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.algorithms.parts.kl_gate import KLGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.distribution import draw, entropy, log_distribution
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.text import reader, verifier
from mentor_pl.decoding.text.verifier import MOST_SAID
from mentor_pl.models.text_tokenizer import CUT_OFF
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.noise import DRAFT, draft_and_coin, exponential, keys_within

TEXTS = ("find the value of x", "we try", "wait , let us verify the sum of 3", "the answer is", "if x = 2 then")
GAMMA, TOKENS = 3.0, 14
SAMPLING = SamplingParams(max_new_tokens=TOKENS)
PAIRS = {"qwen2 under merges": ("qwen2", "merges"), "merges under qwen2": ("merges", "qwen2")}


@pytest.fixture(scope="module", params=PAIRS)
def models(request, build_models):
    """A policy of one family under an expert of another; about one id in thirty ends a response."""
    policy, expert = PAIRS[request.param]
    folders = (request.getfixturevalue(f"{name}_folder") for name in (policy, f"{expert}_expert"))
    return build_models(*folders, stop_ids=range(0, 320, 29))


@pytest.fixture(scope="module")
def rollouts(models):
    """3 rollouts to each of 5 prompts: by the policy's tokenizer, by the expert's."""
    texts = [text for text in TEXTS for _ in range(3)]
    return tuple([one(text)["input_ids"] for text in texts] for one in (models.tokenizer, models.text_expert.tokenizer))


@pytest.fixture(scope="module")
def speak(models, rollouts, keys, gate_of, speaking):
    """(sampler, …) -> the rollouts."""

    def run(sampler, law=None, **options):
        law = law if law is not None else gate_of(GAMMA)
        return speaking(sampler, models, *rollouts, keys(len(rollouts[0])), TOKENS, law, **options)

    return run


@pytest.fixture(scope="module")
def whole(speak):
    """With every rollout in a row of its own from the start."""
    samples = speak(Coin(FixedK(3)))
    assert samples.replaced.any()
    assert len(samples.lengths.unique()) > 2
    return samples


def replayed(models, prompt, expert_prompt, key, heal=False):
    """A rollout drawn by plain forwards of whole texts, a token at a time: ids, which are the expert's, and weights."""
    expert, ours, theirs = models.text_expert, models.text_expert.ours, models.text_expert.theirs
    size, key = expert.vocabulary.size, key[None]
    ids, guided, weights = [], [], []
    texts = [theirs.text([i], theirs.tokens("a").ids, special=False) for i in range(size)]

    def logits(model, tokens):
        return model(input_ids=torch.tensor([tokens])).logits[:, -1]

    def spoken(place):
        """The expert's token at a place; None where it says none."""
        text = ours.text(ids, prompt)
        if text.endswith(CUT_OFF):
            return None
        heard, said, covered = [*expert_prompt, *theirs.tokens(text).ids], [], ""
        if heal and len(heard) > len(expert_prompt):
            again = theirs.text(heard[-1:], heard[:-1], special=False)
            if again and CUT_OFF not in again:  # not a part of a character
                heard, covered = heard[:-1], again
        within = keys_within(key, torch.tensor([place]))
        while True:
            row = logits(models.expert, [*heard, *said])[:, :size]
            left = covered[len(theirs.text(said, heard, special=False)) :]
            if left:
                agrees = [bool(t) and CUT_OFF not in t and (t.startswith(left) or left.startswith(t)) for t in texts]
                row = row.masked_fill(~torch.tensor(agrees), -torch.inf)
            token = int(draw(row.softmax(-1), exponential(within, torch.tensor([len(said)]), DRAFT, size)))
            stops = token in expert.vocabulary.stop_ids
            said += [] if stops else [token]
            whole = stops or len(said) == MOST_SAID
            text = theirs.text(said, heard, special=False)[len(covered) :]
            if whole or not text.endswith(CUT_OFF):
                first = ours.first_token(text.rstrip(CUT_OFF), whole)
                if first is not None or whole:
                    own = models.tokenizer.eos_token_id
                    stop = own if own in models.vocabulary.stop_ids else models.vocabulary.stop_ids[0]
                    return stop if first is None and stops else first

    while len(ids) < TOKENS and not (ids and ids[-1] in models.vocabulary.stop_ids):
        place = torch.tensor([len(ids)])
        logp = log_distribution(logits(models.policy, [*prompt, *ids]), SAMPLING, models.vocabulary.size)
        noise, coin = draft_and_coin(key, place, models.vocabulary.size)
        token = int(draw(logp.exp(), noise))
        weight = min(1.0, float(entropy(logp)) / GAMMA)
        theirs_now = spoken(len(ids)) if float(coin) <= weight else None
        guided.append(theirs_now is not None)
        weights.append(weight if guided[-1] or float(coin) > weight else 0.0)  # nothing is mixed where it says nothing
        ids.append(token if theirs_now is None else theirs_now)
    return ids, guided, weights


@pytest.mark.parametrize("heal", [False, True], ids=["", "heal"])
def test_rollouts_are_those_of_plain_forwards_over_whole_texts(models, rollouts, keys, speak, heal):
    samples, differ = speak(Coin(FixedK(4), heal=heal, rows=4)), 0
    all_keys = keys(len(rollouts[0]))
    for row in range(0, len(all_keys), 2):
        with torch.no_grad():
            ids, guided, weights = replayed(models, rollouts[0][row], rollouts[1][row], all_keys[row], heal)
        length = int(samples.lengths[row])
        differ += ids != samples.ids[row, :length].tolist() or guided != samples.guided[row, :length].tolist()
        mixed = samples.gate_weights[row, :length].tolist()
        differ += mixed != pytest.approx(weights, abs=1e-5)
    assert not differ


@pytest.mark.parametrize(
    ("k", "options"),
    [(1, {"rows": 4}), (2, {"rows": 1}), (8, {"rows": 7}), (2, {"page_tokens": 5, "rows": 6})],
    ids=str,
)
def test_rows_refills_and_look_ahead_change_no_token(whole, speak, equal_samples, k, options):
    equal_samples(whole, speak(Coin(FixedK(k), **options)))


def test_a_cache_too_small_for_all_rows_changes_no_token(models, rollouts, whole, speak, equal_samples, monkeypatch):
    monkeypatch.setattr(reader, "OTHERWISE", 4)
    forgotten, forget = [], reader.Reader.forget
    monkeypatch.setattr(reader.Reader, "forget", lambda self, some: forgotten.extend(some) or forget(self, some))
    longest = max(map(len, rollouts[1])) + 2 * TOKENS + MOST_SAID
    monkeypatch.setattr(verifier.Reader, "__init__", small_cache(reader.Reader.__init__, 2 * longest))
    samples = speak(Coin(FixedK(3)))
    equal_samples(whole, samples)
    assert len(forgotten) > 2 * len(rollouts[0])  # ended once each, and some of them more often


def small_cache(make, tokens):
    def init(self, model, tokenizer, rows, cache_tokens, *rest):
        make(self, model, tokenizer, rows, tokens, *rest)

    return init


def test_what_a_row_has_read_is_cut_back_where_its_text_goes_another_way(whole, speak, monkeypatch):
    monkeypatch.setattr(reader, "common", lambda one, other: min(len(one), len(other)))
    assert not torch.equal(whole.ids, speak(Coin(FixedK(3))).ids)


def test_rows_of_the_policy_are_its_own(models, whole, speak, rollouts):
    mixed = [i % 2 == 0 for i in range(len(rollouts[0]))]
    samples = speak(Coin(FixedK(3)), mixed=mixed)
    assert not samples.guided[1::2].any()
    assert torch.equal(samples.ids[::2, : whole.ids.shape[1]], whole.ids[::2, : samples.ids.shape[1]])


def test_what_the_expert_read_and_said_is_counted(speak, whole):
    stats = whole.stats
    assert int(whole.replaced.sum()) <= stats.scored_positions <= int(whole.guided.sum()) + stats.rolled_back
    assert stats.expert_tokens > stats.scored_positions
    assert 0 < stats.expert_calls < stats.expert_tokens


@pytest.mark.parametrize(
    ("sampler", "law", "problem"),
    [
        (Algorithm1(4), None, "asks for the expert's probabilities"),
        (Coin(), KLGate(), "asks for the expert's probabilities"),
    ],
    ids=["algorithm1", "kl"],
)
def test_what_needs_its_probabilities_is_refused(speak, sampler, law, problem):
    with pytest.raises(UsageError, match=problem):
        speak(sampler, law)


def test_prompts_for_it_are_asked_for(models, rollouts, keys, sample, gate_of):
    with pytest.raises(UsageError, match="0 prompts of the expert's for 15 rollouts"):
        sample(Coin(), models, rollouts[0], keys(15), SamplingParams(max_new_tokens=4), gate_of(GAMMA))


def test_healing_an_expert_of_the_same_ids_is_refused(build_models, llama_folder, llama_expert_folder, sample, keys):
    models = build_models(llama_folder, llama_expert_folder)
    with pytest.raises(UsageError, match="sampler heal is true"):
        sample(Coin(heal=True), models, [[5]], keys(1), SamplingParams(max_new_tokens=4), ConstantGate(1.0))


@pytest.mark.parametrize("count", [200, pytest.param(5_000, marks=pytest.mark.slow)])
def test_text_and_ids_stay_together_over_random_unicode(models, keys, speaking, monkeypatch, count):
    """What the expert hears is always the text of the policy's tokens, whatever bytes those are."""
    heard, begin = [0], verifier.TextVerifier._begin

    def checked(self, row, rollout, place, context):
        speech = begin(self, row, rollout, place, context)
        ids = self.drafts.buffers.context[rollout, 1 : place + 1].tolist()
        text = self.policy.text(ids, self.prompts[rollout][-4:])
        if speech is None:
            assert text.endswith(CUT_OFF)
        else:
            told = len(self.expert_prompts[rollout].ids)
            assert speech.heard[told:] == self.reader.tokenizer.tokens(text).ids
            heard[0] += 1
        return speech

    monkeypatch.setattr(verifier.TextVerifier, "_begin", checked)
    generator = random.Random(3)
    texts = ["".join(generator.choice("aé中😀 \n1,x") for _ in range(6)) for _ in range(count)]
    prompts = [models.tokenizer(text)["input_ids"] or [0] for text in texts]
    told = [models.text_expert.tokenizer(text)["input_ids"] or [0] for text in texts]
    speaking(Coin(FixedK(3), rows=64), models, prompts, told, keys(count), 10, ConstantGate(0.5))
    assert heard[0] > 2 * count
