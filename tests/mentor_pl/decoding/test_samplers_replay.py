"""On one noise the samplers give one rollout: that of a replay from scratch, and, without weight, the policy's own.

The replay is made of plain forwards over whole sequences and the method's definitions.
"""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate, EntropyGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import AnyFlag, FixedK, MarginalValue
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.loading import Models
from mentor_pl.runtime.noise import COIN, DRAFT, RESIDUAL, exponential, uniform

LIMIT = SamplingParams(max_new_tokens=32)
SAMPLERS = {
    "coin, K = 1": lambda: Coin(FixedK(1)),
    "coin, K = 3": lambda: Coin(FixedK(3)),
    "coin, K = 8": lambda: Coin(FixedK(8)),
    "coin, K from timings": lambda: Coin(),
    "coin, any flag": lambda: Coin(AnyFlag()),
    "coin, marginal value": lambda: Coin(MarginalValue()),
    "coin, 3 rows, K = 4": lambda: Coin(FixedK(4), rows=3),
    "algorithm1, K = 1": lambda: Algorithm1(1),
    "algorithm1, K = 4": lambda: Algorithm1(4),
    "algorithm1, K = 8": lambda: Algorithm1(8),
    "naive": lambda: Naive(),
}


def replayed(models, prompts, keys, sampling, gamma):
    """Rollouts from scratch: plain forwards over whole sequences, one position after the other, and in float64 the rule
    as Algorithm 1 prints it, on the keyed noise. Row -> lists of ids, guided, replaced, logprobs."""
    size, out = models.vocabulary.size, [([], [], [], []) for _ in prompts]
    for length in sorted({len(prompt) for prompt in prompts}):  # rows of one length need no padding
        rows = [row for row, prompt in enumerate(prompts) if len(prompt) == length]
        for position in range(sampling.max_new_tokens):
            if not rows:
                break
            sequences = torch.tensor([list(prompts[row]) + out[row][0] for row in rows])
            p, q = (
                model(input_ids=sequences, use_cache=False).logits[:, -1, :size].double().softmax(-1)
                for model in (models.policy, models.expert)
            )
            at = torch.full((len(rows),), position)
            key = keys[rows]
            race, again = (exponential(key, at, stream, size).double() for stream in (DRAFT, RESIDUAL))
            draft = (race / p).argmin(-1)
            w = (torch.special.entr(p).sum(-1) / gamma).clamp(max=1)
            coin = uniform(key, at, COIN).double()
            mix = (1 - w[:, None]) * p + w[:, None] * q
            acceptance = (mix / p).gather(1, draft[:, None]).squeeze(1).clamp(max=1)
            rejected = coin <= 1 - acceptance
            token = torch.where(rejected, (again / (mix - p).clamp(min=0)).argmin(-1), draft)
            logp = p.gather(1, token[:, None]).squeeze(1).log()
            for row, *values in zip(rows, token, coin <= w, rejected, logp, strict=True):
                for column, value in zip(out[row], values, strict=True):
                    column.append(value.item())
            rows = [row for row in rows if out[row][0][-1] not in models.vocabulary.stop_ids]
    return out


# One guided token in three and one replaced in five, so that drafts are kept as well as rejected.
LOOSE = 13.0


@pytest.fixture(scope="module")
def replay(pair, rollouts):
    with torch.no_grad():
        return replayed(pair, *rollouts, LIMIT, LOOSE)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_every_sampler_and_schedule_gives_the_rollouts_of_a_replay_from_scratch(
    sampler, pair, rollouts, replay, sample, gate_of
):
    # 0 of some 3,300 tokens differ, over four families; none of them is so near a tie that rounding could turn it
    samples = sample(sampler(), pair, *rollouts, LIMIT, gate_of(LOOSE))
    assert sum(len(ids) for ids, *_ in replay) > 600
    assert samples.lengths.tolist() == [len(ids) for ids, *_ in replay]
    for row, (ids, guided, replaced, logprobs) in enumerate(replay):
        n = len(ids)
        assert samples.ids[row, :n].tolist() == ids
        assert samples.guided[row, :n].tolist() == guided
        assert samples.replaced[row, :n].tolist() == replaced
        assert samples.logprobs[row, :n].tolist() == pytest.approx(logprobs, abs=1e-4)
        assert samples.truncated[row].item() == (ids[-1] not in pair.vocabulary.stop_ids)
    assert 0.2 < samples.guided.sum() / samples.lengths.sum() < 0.5
    assert 0.1 < samples.replaced.sum() / samples.lengths.sum() < 0.4


def test_other_keys_give_other_rollouts(pair, rollouts, keys, sample):
    prompts, key = rollouts
    one, other = (sample(Coin(), pair, prompts, k, LIMIT) for k in (key, keys(len(prompts), seed=12)))
    assert not torch.equal(one.ids[:, 0], other.ids[:, 0])


# ---------------------------------------------------------------- the ends of the gate

INFINITE = {"γ = ∞": EntropyGate(), "w = 0": ConstantGate(0.0)}  # an entropy gate that has observed nothing


@pytest.fixture(scope="module")
def alone(pair, rollouts, sample):
    """A quarter of the rollouts, on-policy, 4 rows at a time; and what they were made from."""
    prompts, key = rollouts[0][::4], rollouts[1][::4]
    return sample(Coin(rows=4), pair, prompts, key, LIMIT), prompts, key


@pytest.mark.parametrize("gate", INFINITE.values(), ids=INFINITE)
def test_without_weight_the_coin_gives_the_on_policy_rollouts_bit_for_bit_and_never_calls_the_expert(
    gate, pair, alone, sample
):
    expected, prompts, key = alone
    mixed = sample(Coin(FixedK(4), rows=4), pair, prompts, key, LIMIT, gate)
    for name, values in vars(expected).items():
        if isinstance(values, torch.Tensor):
            assert torch.equal(values, getattr(mixed, name)), name
    assert not mixed.guided.any()
    assert not mixed.gate_weights.any()
    assert (mixed.stats.expert_calls, mixed.stats.expert_tokens, mixed.stats.rolled_back) == (0, 0, 0)


@pytest.mark.parametrize("sampler", [Algorithm1, Naive])
def test_without_weight_the_expert_may_be_read_but_changes_nothing(sampler, pair, alone, sample, equal_samples):
    expected, prompts, key = alone
    mixed = sample(sampler(rows=4), pair, prompts, key, LIMIT, ConstantGate(0.0))
    equal_samples(expected, mixed)
    assert not mixed.guided.any()


@pytest.mark.parametrize("sampler", [Coin, Algorithm1, Naive])
def test_an_expert_equal_to_the_policy_replaces_nothing(sampler, pair, alone, sample):
    expected, prompts, key = alone
    twins = Models(pair.policy, pair.policy, pair.tokenizer, pair.vocabulary)
    mixed = sample(sampler(), twins, prompts, key, LIMIT, ConstantGate(0.7))
    assert torch.equal(expected.ids, mixed.ids)
    assert float(mixed.guided.sum() / mixed.lengths.sum()) == pytest.approx(0.7, abs=0.15)
    assert not mixed.replaced.any()
