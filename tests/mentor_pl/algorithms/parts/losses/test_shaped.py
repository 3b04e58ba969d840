"""LUFFY's surrogate, with numbers worked out by hand."""

import pytest
import torch

from mentor_pl.algorithms.parts.losses.shaped import ShapedSurrogate
from mentor_pl.runtime.errors import UsageError


@pytest.mark.parametrize("advantage", [0.875, -0.125, 2.0])
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.99])
def test_a_given_tokens_gradient_is_that_of_the_shaping(loss_inputs, p, advantage):
    batch = loss_inputs([[p]], [advantage], given=[[1]], old=0.3)
    total = ShapedSurrogate()(batch).total
    total.backward()
    assert total.item() == pytest.approx(-advantage * p / (p + 0.1))
    assert batch.logprobs.grad.item() == pytest.approx(0.1 * p / (p + 0.1) ** 2 * -advantage, rel=1e-5)


def test_a_sampled_tokens_ratio_is_never_clipped(loss_inputs):
    # ratios 0.9/0.5 = 1.8 and 0.1/0.5 = 0.2: −A r, and its gradient is the same
    batch = loss_inputs([[0.9, 0.1]], [2.0])
    total = ShapedSurrogate()(batch).total
    total.backward()
    assert total.item() == pytest.approx(-2 * (1.8 + 0.2))
    assert batch.logprobs.grad[0].tolist() == pytest.approx([-3.6, -0.4])


def test_given_and_sampled_tokens_of_one_rollout_are_each_their_own(loss_inputs):
    # ½/(½ + ¼) = 2/3 and a ratio of 1; the third token is not trained on
    batch = loss_inputs([[0.5, 0.5, 0.9]], [3.0], given=[[1, 0, 0]], mask=[[1, 1, 0]])
    assert ShapedSurrogate(shaping=0.25)(batch).total.item() == pytest.approx(-3 * (2 / 3 + 1))


def test_the_weight_is_the_rollouts_times_the_longest_response_there_may_be(loss_inputs):
    batch = loss_inputs([[0.5, 0.5]] * 3, [1.0] * 3, mask=[[1, 0], [1, 1], [0, 0]], max_tokens=80)
    assert ShapedSurrogate().weight(batch).item() == 2 * 80


def test_a_ratio_beyond_all_numbers_harms_no_token_without_advantage(loss_inputs):
    batch = loss_inputs([[1.0]], [0.0], old=1e-45)
    batch.old_logprobs.fill_(-torch.inf)
    total = ShapedSurrogate()(batch).total
    total.backward()
    assert total.item() == batch.logprobs.grad.item() == 0


def test_a_shaping_without_gradient_is_a_usage_error():
    with pytest.raises(UsageError, match=r"loss shaping is 0\.0"):
        ShapedSurrogate(0.0)
