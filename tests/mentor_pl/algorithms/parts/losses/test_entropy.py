"""The entropy bonus is the mean over the tokens that are trained on."""

import pytest

from mentor_pl.algorithms.parts.losses.entropy import EntropyBonus
from mentor_pl.runtime.errors import UsageError


def test_the_sum_over_trained_tokens_whatever_they_are_worth(loss_inputs):
    batch = loss_inputs([[0.25, 0.5], [1.0, 0.125]], [0.0, -3.0], mask=[[1, 1], [1, 0]])  # entropies are these numbers
    bonus = EntropyBonus()
    total = bonus(batch).total
    total.backward()
    assert total.item() == -1.75
    assert batch.entropies.grad.tolist() == [[-1, -1], [-1, 0]]
    assert bonus.weight(batch).item() == 3
    assert bonus.coefficient == 0.001
    assert bonus.learns(batch).tolist() == [[True, True], [True, False]]


def test_a_negative_coefficient_is_a_usage_error():
    with pytest.raises(UsageError, match="coefficient is -1"):
        EntropyBonus(-1)
