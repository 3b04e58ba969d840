"""Behaviour cloning is −log π over the tokens that are trained on."""

import pytest

from mentor_pl.algorithms.parts.losses.nll import NegativeLogLikelihood
from mentor_pl.runtime.errors import UsageError


def test_the_sum_over_trained_tokens_whatever_they_are_worth(loss_inputs):
    batch = loss_inputs([[0.5, 0.25], [0.125, 0.9]], [0.0, -3.0], mask=[[1, 1], [1, 0]])
    term = NegativeLogLikelihood()
    total = term(batch).total
    total.backward()
    assert total.item() == pytest.approx(0.6931472 * (1 + 2 + 3))  # ln 2 · (1 + 2 + 3)
    assert batch.logprobs.grad.tolist() == [[-1, -1], [-1, 0]]
    assert term.weight(batch).item() == 3
    assert term.learns(batch).tolist() == [[True, True], [True, False]]


def test_a_negative_coefficient_is_a_usage_error():
    with pytest.raises(UsageError, match="coefficient is -1"):
        NegativeLogLikelihood(-1)
