"""Demonstrations keep to their style, are well formed, and their dials are probabilities."""

from __future__ import annotations

import random

import pytest

from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.path_star import PathStarReward, boxed_nodes
from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.path_star.problems import ARMS, LENGTH, problems
from mentor_pl.testbed.path_star.solutions import BASE, EXPERT, Style, path, solution
from mentor_pl.types import Prompt, Response

STARS = problems("train", 2_000)


def share_of_right_arms(style: Style) -> float:
    rng = random.Random(0)
    return sum(path(star, style, rng)[0] == star.path()[0] for star in STARS) / len(STARS)


def test_the_expert_is_right_and_the_base_keeps_the_form() -> None:
    rng, reward = random.Random(0), PaperReward(PathStarReward())
    prompts = [Prompt(0, star.text(), " ".join(star.path()), ()) for star in STARS[:200]]
    expert, base = (
        reward(prompts, [Response(solution(star, style, rng)) for star in STARS[:200]]) for style in (EXPERT, BASE)
    )
    assert set(expert.total) == {1.0}
    assert set(base.parts["format"] + base.parts["faithful"]) == {1.0}


@pytest.mark.parametrize(("prior", "right"), [(0.0, 0.2), (0.05, 0.24), (0.5, 0.6), (1.0, 1.0)])
def test_the_right_arm_is_taken_by_prior_and_else_by_chance(prior: float, right: float) -> None:
    assert right == pytest.approx(prior + (1 - prior) / ARMS)
    assert abs(share_of_right_arms(Style(prior)) - right) < 0.055  # five standard errors at one half


def test_execution_is_the_chance_of_each_node_behind_the_first() -> None:
    rng = random.Random(0)
    right = 0
    for star in STARS:
        nodes = path(star, Style(prior=1.0, execution=0.8), rng)
        assert set(nodes) <= {far for _, far in star.edges}
        assert len(nodes) <= LENGTH
        right += nodes == star.path()
    assert abs(right / len(STARS) - 0.8 ** (LENGTH - 1)) < 0.055


def test_a_solution_is_the_path_in_a_box() -> None:
    text = solution(STARS[0], EXPERT, random.Random(0))
    assert boxed_nodes(text) == STARS[0].path()
    assert text.startswith(r"<think> look </think> \boxed{ ")


@pytest.mark.parametrize(
    ("arguments", "named"), [({"prior": -0.1}, "prior"), ({"prior": 0, "execution": 1.5}, "execution")]
)
def test_a_dial_out_of_range_is_named(arguments: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        Style(**arguments)
