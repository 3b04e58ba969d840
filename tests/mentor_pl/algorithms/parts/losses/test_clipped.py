"""The clipped surrogate [9], with numbers worked out by hand."""

import math
from dataclasses import replace

import pytest
import torch

from mentor_pl.algorithms.parts.losses.base import LossInputs, Need
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin


def batch(ratios, advantages, mask=None, origin=Origin.POLICY):
    """Rows of ratios π_θ/π_old; log π_θ carries the gradient, log π_old is ln ½. `advantages`: of rows or of tokens."""
    ratios = torch.tensor(ratios)
    old = torch.full_like(ratios, math.log(0.5))
    logprobs = (old + ratios.log()).requires_grad_()
    each, none = torch.tensor(advantages), torch.zeros_like(ratios, dtype=torch.bool)
    return LossInputs(
        logprobs=logprobs,
        entropies=torch.zeros_like(old),
        old_logprobs=old,
        advantages=each if each.ndim == 2 else each[:, None].expand_as(ratios),
        mask=~none if mask is None else torch.tensor(mask, dtype=torch.bool),
        origin=torch.full((len(ratios),), int(origin)),
        gate_weights=torch.zeros_like(old),
        guided=none,
        replaced=none,
        given=none,
    )


def loss_and_gradient(ratio, advantage, **options):
    inputs = batch([[ratio]], [advantage])
    total = ClippedSurrogate(**options)(inputs).total
    total.backward()
    return total.item(), inputs.logprobs.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (1.0, 2.0, -2.0, -2.0),  # −rÂ, and d(−rÂ)/d log π = −rÂ
        (1.1, 2.0, -2.2, -2.2),  # inside [0.8, 1.28]
        (0.9, -2.0, 1.8, 1.8),
        (1.5, 2.0, -2.56, 0.0),  # above, good: bounded at 1.28 · 2, no gradient
        (0.5, 2.0, -1.0, -1.0),  # below, good: the minimum is the unclipped one
        (1.5, -2.0, 3.0, 3.0),  # above, bad: unclipped
        (0.5, -2.0, 1.6, 0.0),  # below, bad: bounded at 0.8 · 2, no gradient
        (1.5, 0.0, 0.0, 0.0),
    ],
)
def test_each_side_of_the_clip_for_each_sign_of_the_advantage(ratio, advantage, loss, gradient):
    assert loss_and_gradient(ratio, advantage) == (pytest.approx(loss, abs=1e-6), pytest.approx(gradient, abs=1e-6))


def test_the_clip_is_asymmetric_and_both_bounds_are_options():
    assert loss_and_gradient(1.25, 1.0)[0] == pytest.approx(-1.25)  # 1.28 is the default upper bound
    assert loss_and_gradient(1.25, 1.0, clip_high=0.2)[0] == pytest.approx(-1.2)
    assert loss_and_gradient(0.7, -1.0, clip_low=0.4)[0] == pytest.approx(0.7)
    assert loss_and_gradient(0.7, -1.0)[0] == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        (5.0, -2.0, 6.0, 0.0),  # unclipped 10, bounded at 3 · 2
        (2.0, -2.0, 4.0, 4.0),  # 4 is under the bound 6
        (0.5, -2.0, 1.6, 0.0),  # the lower clip still holds
        (5.0, 2.0, -2.56, 0.0),  # positive advantages are the ordinary clip's
    ],
)
def test_dual_clip_bounds_the_loss_of_negative_advantages_only(ratio, advantage, loss, gradient):
    got = loss_and_gradient(ratio, advantage, dual_clip=3.0)
    assert got == (pytest.approx(loss, abs=1e-6), pytest.approx(gradient, abs=1e-6))


def test_without_dual_clip_a_negative_advantage_is_unbounded():
    assert loss_and_gradient(5.0, -2.0) == (pytest.approx(10.0, abs=1e-5), pytest.approx(10.0, abs=1e-5))


# Two rows of ratio 1: three tokens of advantage 1 and one token of advantage −5.
ROWS = ([[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]], [1.0, -5.0], [[1, 1, 1], [1, 0, 0]])


def test_token_aggregation_weighs_every_token_of_the_mini_batch_alike():
    loss, inputs = ClippedSurrogate(), batch(*ROWS)
    assert loss(inputs).total.item() == pytest.approx(-3 + 5)
    assert loss.weight(inputs).item() == 4  # mean ½


def test_sequence_aggregation_takes_the_mean_of_each_rollout_first():
    loss, inputs = ClippedSurrogate(aggregation="sequence"), batch(*ROWS)
    assert loss(inputs).total.item() == pytest.approx(-1 + 5)
    assert loss.weight(inputs).item() == 2  # mean 2


@pytest.mark.parametrize("aggregation", ["token", "sequence"])
def test_micro_batches_sum_to_the_undivided_mini_batch(aggregation):
    loss = ClippedSurrogate(aggregation=aggregation)
    ratios, advantages, mask = [[1.1, 0.5, 2.0], [0.9, 1.5, 1.0], [1.0, 0.7, 1.2]], [1.0, -2.0, 0.5], [[1, 1, 0]] * 3
    whole = batch(ratios, advantages, mask)
    parts = [batch(ratios[:1], advantages[:1], mask[:1]), batch(ratios[1:], advantages[1:], mask[1:])]
    assert sum(loss(part).total.item() for part in parts) == pytest.approx(loss(whole).total.item())
    assert sum(loss.weight(part).item() for part in parts) == loss.weight(whole).item()


@pytest.mark.parametrize("aggregation", ["token", "sequence"])
def test_padding_carries_neither_loss_nor_gradient_nor_counts(aggregation):
    inputs = batch([[1.0, 9.0]], [1.0], [[1, 0]])
    outputs = ClippedSurrogate(aggregation=aggregation)(inputs)
    outputs.total.backward()
    assert outputs.total.item() == pytest.approx(-1.0)
    assert inputs.logprobs.grad.tolist() == [[pytest.approx(-1.0), 0.0]]
    assert outputs.token_sums["clipped"].item() == 0


@pytest.mark.parametrize("aggregation", ["token", "sequence"])
def test_a_row_without_tokens_weighs_nothing(aggregation):
    loss, inputs = ClippedSurrogate(aggregation=aggregation), batch([[1.0], [1.0]], [1.0, 1.0], [[1], [0]])
    assert loss(inputs).total.item() == pytest.approx(-1.0)
    assert loss.weight(inputs).item() == 1


def test_mixed_rollouts_are_weighed_by_the_same_ratio():
    plain, mixed = (batch([[1.1, 1.5]], [1.0], origin=origin) for origin in (Origin.POLICY, Origin.MIXTURE))
    assert ClippedSurrogate()(plain).total == ClippedSurrogate()(mixed).total


def test_clipped_counts_the_tokens_whose_gradient_the_clip_takes_away():
    # of 1.5 and 0.5 the first is bound where the advantage is positive, the second where it is negative
    inputs = batch([[1.5, 0.5, 1.0], [1.5, 0.5, 0.6]], [1.0, -1.0])
    assert ClippedSurrogate()(inputs).token_sums["clipped"].item() == 1 + 2


def test_kl_is_the_k3_estimate_summed_over_tokens():
    # r − 1 − ln r at r = 2 and ½: 1 − ln 2 and −½ + ln 2, together ½
    assert ClippedSurrogate()(batch([[2.0, 0.5]], [1.0])).token_sums["kl"].item() == pytest.approx(0.5)


def test_a_ratio_beyond_every_float_gives_no_nan():
    inputs = batch([[1.0]], [0.0])
    inputs.logprobs.data += 1000.0
    outputs = ClippedSurrogate()(inputs)
    outputs.total.backward()
    assert outputs.total.item() == 0.0
    assert inputs.logprobs.grad.item() == 0.0


@pytest.mark.parametrize(
    "options",
    [{"clip_low": 0.0}, {"clip_low": 1.0}, {"clip_high": 0.0}, {"clip_high": -1.0}, {"dual_clip": 1.0}],
)
def test_a_bound_out_of_range_is_a_usage_error_that_names_it(options):
    ((name, value),) = options.items()
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        ClippedSurrogate(**options)


def test_each_token_may_have_an_advantage_of_its_own():
    # −1.1 · 2 and, clipped at 0.8, +0.8 · 1
    assert ClippedSurrogate()(batch([[1.1, 0.5]], [[2.0, -1.0]])).total.item() == pytest.approx(-2.2 + 0.8)


def test_tokens_without_advantage_carry_no_gradient_which_is_what_skipping_them_relies_on():
    inputs = batch([[1.5, 0.5], [1.1, 0.9]], [[0.0, 0.0], [0.0, 1.0]])
    outputs = ClippedSurrogate(dual_clip=3.0)(inputs)
    outputs.total.backward()
    assert ClippedSurrogate.skips_zero_advantage
    assert outputs.total.item() == pytest.approx(-0.9)
    assert inputs.logprobs.grad.tolist() == [[0.0, 0.0], [0.0, pytest.approx(-0.9)]]


def test_a_constant_length_divides_alike_whatever_a_rollout_s_own():
    inputs = replace(batch([[1.0, 1.0], [1.0, 1.0]], [1.0, 1.0], [[1, 1], [1, 0]]), max_tokens=10)
    loss = ClippedSurrogate(aggregation="constant")
    assert loss(inputs).total.item() == -3
    assert loss.weight(inputs).item() == 2 * 10


def test_against_the_mixture_a_token_is_compared_with_what_drew_it():
    # π_old ½, π* 0.1: at w = 0 the policy's ½, at w = 1 the expert's 0.1, at w = ½ their mean 0.3; π_θ = ½ · 1.2 = 0.6
    inputs = batch([[1.2, 1.2, 1.2]], [1.0])
    expert, weights = torch.full((1, 3), 0.1).log(), torch.tensor([[0.0, 1.0, 0.5]])
    inputs = replace(inputs, expert_logprobs=expert, gate_weights=weights)
    loss = ClippedSurrogate(clip_high=9.0, ratio="mixture")
    assert loss(inputs).total.item() == pytest.approx(-(1.2 + 6.0 + 2.0), abs=1e-5)
    assert loss.needs == {Need.EXPERT_LOGPROBS}
    assert ClippedSurrogate().needs == set()
    plain = replace(inputs, gate_weights=torch.zeros(1, 3))  # bit for bit the policy's where nothing was mixed
    assert loss(plain).total == ClippedSurrogate(clip_high=9.0)(plain).total
