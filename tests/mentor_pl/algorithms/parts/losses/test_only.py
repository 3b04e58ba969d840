"""A term over the rollouts of one origin is that term where there are no others."""

import torch

from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.algorithms.parts.losses.nll import NegativeLogLikelihood
from mentor_pl.algorithms.parts.losses.only import Only
from mentor_pl.types import Origin


def test_sum_weight_and_gradient_leave_out_the_others(loss_inputs):
    batch = loss_inputs(
        [[0.5, 0.25], [0.125, 0.5]], mask=[[1, 1], [1, 0]], origin=[Origin.POLICY, Origin.DEMONSTRATION]
    )
    alone = Only(NegativeLogLikelihood(0.5), Origin.DEMONSTRATION)
    total = alone(batch).total
    total.backward()
    assert torch.allclose(total, 3 * torch.tensor(2.0).log())
    assert batch.logprobs.grad.tolist() == [[0, 0], [-1, 0]]
    assert alone.weight(batch).item() == 1
    assert (alone.name, alone.coefficient) == ("nll", 0.5)


def test_rollouts_are_read_where_the_inner_term_learns_from_them(loss_inputs):
    batch = loss_inputs([[0.5]] * 4, [0.0, 1.0, 0.0, 1.0], origin=[0, 0, 2, 2])
    assert Only(NegativeLogLikelihood(), Origin.DEMONSTRATION).learns(batch)[:, 0].tolist() == [
        False,
        False,
        True,
        True,
    ]
    assert Only(ClippedSurrogate(), Origin.POLICY).learns(batch)[:, 0].tolist() == [False, True, False, False]
    assert Only(ClippedSurrogate(), Origin.POLICY).skips_zero_advantage
    assert not Only(NegativeLogLikelihood(), Origin.POLICY).skips_zero_advantage


def test_the_clip_range_is_the_inner_terms():
    assert Only(ClippedSurrogate(0.2, 0.28), Origin.POLICY).clip_range == (0.8, 1.28)
    assert Only(NegativeLogLikelihood(), Origin.POLICY).clip_range is None


def test_what_the_inner_term_needs_is_needed():
    assert Only(ClippedSurrogate(ratio="mixture"), Origin.MIXTURE).needs == {Need.EXPERT_LOGPROBS}


def test_over_the_only_origin_there_is_it_is_the_term_itself(loss_inputs):
    batch = loss_inputs([[0.5, 0.25], [0.125, 0.5]], [1.0, -2.0], mask=[[1, 1], [1, 0]])
    term = ClippedSurrogate()
    assert torch.equal(Only(term, Origin.POLICY)(batch).total, term(batch).total)
    assert torch.equal(Only(term, Origin.POLICY).weight(batch), term.weight(batch))
