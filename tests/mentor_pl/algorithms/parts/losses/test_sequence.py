"""GSPO's surrogate: one ratio and one clip for each rollout, on numbers worked out by hand."""

import pytest
import torch

from mentor_pl.algorithms.parts.losses.sequence import SequenceSurrogate
from mentor_pl.runtime.errors import UsageError


def test_the_ratio_is_the_geometric_mean_and_the_gradient_is_shared_by_the_tokens(loss_inputs):
    # ratios ½/½ = 1 and 1/½ = 2 (π_old ½): s = √2; −s A = −3√2, a share of ½ for each token
    batch = loss_inputs([[0.5, 1.0]], [3.0])
    total = SequenceSurrogate(0.9, 9.0)(batch).total
    total.backward()
    assert total.item() == pytest.approx(-3 * 2**0.5, abs=1e-6)
    assert batch.logprobs.grad.tolist() == [pytest.approx([-1.5 * 2**0.5] * 2, abs=1e-6)]


@pytest.mark.parametrize(
    ("probability", "advantage", "loss", "learns"),
    [
        (0.75, 2.0, -2.0 * 1.1, False),  # s = 1.5 above 1.1, good: bounded
        (0.75, -2.0, 3.0, True),  # above, bad: not
        (0.4, -2.0, 2.0 * 0.9, False),  # s = 0.8 below 0.9, bad: bounded
        (0.4, 2.0, -1.6, True),
    ],
)
def test_a_rollout_is_clipped_as_a_whole(loss_inputs, probability, advantage, loss, learns):
    batch = loss_inputs([[probability] * 3, [0.5] * 3], [advantage, 0.0])
    output = SequenceSurrogate(0.1, 0.1)(batch)
    output.total.backward()
    assert output.total.item() == pytest.approx(loss, abs=1e-6)
    assert bool(batch.logprobs.grad.any()) == learns
    assert output.token_sums["clipped"].item() == (0 if learns else 3)


def test_tokens_outside_the_mask_count_in_no_mean_and_rollouts_are_weighed_alike(loss_inputs):
    batch = loss_inputs([[0.5, 0.25, 1.0], [0.5, 0.5, 0.5]], [1.0, 1.0], mask=[[1, 0, 1], [0, 0, 0]])
    term = SequenceSurrogate(0.9, 9.0)
    assert term(batch).total.item() == pytest.approx(-(2**0.5), abs=1e-6)  # of ratios 1 and 2; the second has no token
    assert term.weight(batch).item() == 1


@pytest.mark.parametrize("options", [{"clip_low": 0.0}, {"clip_low": 1.0}, {"clip_high": 0.0}])
def test_bounds_out_of_range_are_usage_errors(options):
    with pytest.raises(UsageError, match=next(iter(options))):
        SequenceSurrogate(**options)


def test_a_ratio_beyond_all_bounds_leaves_no_nan(loss_inputs):
    batch = loss_inputs([[1.0]], [0.0], old=1e-30)
    assert torch.isfinite(SequenceSurrogate()(batch).total)


def test_what_a_filter_of_the_policys_drops_is_no_nan(loss_inputs):
    """A mixture row that is not trained on, such as one cut off, and one that is: the expert's token has π_old = 0."""
    batch = loss_inputs([[0.5, 0.5], [0.5, 0.5]], [1.0, 1.0], mask=[[0, 0], [1, 1]])
    batch.old_logprobs[:, 1] = -torch.inf
    total = SequenceSurrogate()(batch).total
    total.backward()
    assert total.item() == pytest.approx(-(1 + 4e-4))
    assert batch.logprobs.grad.tolist() == [[0, 0], [0, 0]]
