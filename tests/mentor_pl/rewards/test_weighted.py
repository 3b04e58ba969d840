"""Weighted sums of rewards."""

from __future__ import annotations

import math

import pytest

from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.weighted import WeightedReward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response


class Length(Reward):
    """A user's own reward: a cost for every character."""

    range = (-100.0, 0.0)

    def __init__(self) -> None:
        self.closed = 0

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        return Grade(-float(len(response.text)))

    def close(self) -> None:
        self.closed += 1


def test_total_range_and_parts_are_the_weighted_sum() -> None:
    blend = WeightedReward([ChoiceReward(), FormatReward(), Length()], [0.5, 0.25, 0.01])
    response = r"<think></think>\boxed{B}"  # 24 characters
    grades = blend([Prompt(0, "", "B", ()), Prompt(0, "", "C", ())], [Response(response), Response("B")])
    assert blend.range == (-1.0, 0.75)
    assert grades.total == pytest.approx([0.75 - 0.24, -0.01])
    assert grades.parts == {"outcome": [1.0, 0.0], "format": [1.0, 0.0]}


def test_a_negative_weight_turns_the_range_round() -> None:
    assert WeightedReward([FormatReward()], [-2.0]).range == (-2.0, 0.0)


def test_parts_of_one_name_are_kept_apart() -> None:
    blend = WeightedReward([FormatReward(), FormatReward()], [1.0, 1.0])
    assert list(blend([Prompt(0, "", "", ())], [Response("x")]).parts) == ["format", "format_2"]


def test_rewards_with_workers_stream_inside_a_sum() -> None:
    inner = MathReward(workers=1)
    blend = WeightedReward([inner, FormatReward()], [0.9, 0.1])
    future = blend.submit(Prompt(0, "", "0.5", ()), Response(r"<think></think>\boxed{\frac{2}{4}}"))
    assert future.result().total == 1.0
    blend.close()
    assert inner.pool._dispatcher is None


def test_closing_a_sum_closes_every_reward_in_it() -> None:
    lengths = [Length(), Length()]
    WeightedReward([lengths[0], WeightedReward([lengths[1]], [1.0])], [1.0, 1.0]).close()
    assert [length.closed for length in lengths] == [1, 1]


@pytest.mark.parametrize("total", [2.0, math.nan])
def test_a_reward_outside_its_own_range_is_not_hidden_by_the_sum(total: float) -> None:
    class Wrong(Length):
        def grade(self, prompt: Prompt, response: Response) -> Grade:
            return Grade(total)

    blend = WeightedReward([Wrong(), Length()], [1.0, 1.0])
    with pytest.raises(UsageError, match=r"reward Wrong gave .* to problem 7, outside"):
        blend([Prompt(7, "", "", ())], [Response("x")])


@pytest.mark.parametrize("weights", [[], [1.0, 2.0], [float("nan")]])
def test_weights_must_match_the_rewards(weights: list[float]) -> None:
    with pytest.raises(UsageError, match="weights"):
        WeightedReward([FormatReward()], weights)


def test_the_example_is_that_of_the_first_reward_that_has_one() -> None:
    prompt = Prompt(0, "", "B", ())
    assert WeightedReward([FormatReward(), Length(), ChoiceReward()], [1, 1, 1]).example(prompt) == r"\boxed{B}"
    assert WeightedReward([FormatReward(), Length()], [1, 1]).example(prompt) is None
