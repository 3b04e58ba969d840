"""The paper's reward: two weights, to the last bit, and the parts' names."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.types import Prompt, Response

RIGHT, WRONG = r"\boxed{ D D D U }", r"\boxed{ D }"
MAZE = Prompt(0, "blocked c01 c12 c33 goal c20 start c00", "", ())


@pytest.mark.parametrize("weights", [(0.9, 0.1), (0.8, 0.2), (0.7, 0.2)])
def test_the_total_is_the_weighted_sum_to_the_last_bit(weights: tuple[float, float]) -> None:
    reward = PaperReward(MazeReward(), *weights)
    responses = [Response(form + box) for box in (RIGHT, WRONG) for form in ("<think> </think> ", "")]
    outcome, form = weights
    assert reward([MAZE] * 4, responses).total == [outcome + form, outcome, form, 0.0]
    assert reward.range == (0.0, outcome + form)


def test_the_papers_weights_are_the_default_and_mathematics_its_outcome() -> None:
    reward = PaperReward()
    prompts = [Prompt(0, "", "5", (), "<think>")] * 4
    texts = [r"a</think>\boxed{5}", r"\boxed{5}", r"a</think>\boxed{6}", "6"]
    grades = reward(prompts, [Response(text) for text in texts])
    assert grades.total == [1.0, 0.9, 0.1, 0.0]
    assert grades.parts == {"outcome": [1, 1, 0, 0], "timeout": [0, 0, 0, 0], "format": [1, 0, 1, 0]}
    reward.close()


def test_a_mazes_parts_keep_their_names() -> None:
    parts = PaperReward(MazeReward())([MAZE], [Response(RIGHT)]).parts
    assert set(parts) == {"outcome", "format", "faithful", "checks", "attempts"}


def test_closing_it_ends_the_workers_of_its_outcome() -> None:
    reward = PaperReward(MathReward(workers=1))
    assert reward([Prompt(0, "", "0.5", ())], [Response(r"\boxed{\frac{2}{4}}")]).total == [0.9]
    assert isinstance(reward.outcome, MathReward)
    assert reward.outcome.pool._dispatcher is not None
    reward.close()
    assert reward.outcome.pool._dispatcher is None
