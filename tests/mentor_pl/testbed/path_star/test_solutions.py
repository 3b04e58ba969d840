"""Demonstrations keep to their style, are well formed, and their dials are probabilities."""

from __future__ import annotations

import random

import pytest

from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.path_star import PathStarReward, boxed_nodes, thought_nodes
from mentor_pl.testbed.path_star.problems import ARMS, LENGTH, problems
from mentor_pl.testbed.path_star.solutions import Style, solution
from mentor_pl.types import Prompt, Response

STARS = problems("train", 2_000)


def test_who_looks_ahead_is_right_and_who_does_not_still_keeps_the_form() -> None:
    rng, reward = random.Random(0), PaperReward(PathStarReward())
    prompts = [Prompt(0, star.text(), " ".join(star.path()), ()) for star in STARS[:200]]
    ahead, blind = (
        reward(prompts, [Response(solution(star, Style(prior), rng)) for star in STARS[:200]]) for prior in (1.0, 0.0)
    )
    assert set(ahead.total) == {1.0}
    assert set(blind.parts["format"] + blind.parts["faithful"]) == {1.0}
    assert set(blind.parts["outcome"]) == {0.0, 1.0}


@pytest.mark.parametrize(("prior", "right"), [(0.0, 0.2), (0.05, 0.24), (0.5, 0.6), (1.0, 1.0)])
def test_the_right_arm_is_taken_by_prior_and_else_by_chance(prior: float, right: float) -> None:
    rng = random.Random(0)
    taken = [thought_nodes(solution(star, Style(prior), rng))[0] == star.path()[0] for star in STARS]
    assert right == pytest.approx(prior + (1 - prior) / ARMS)
    assert abs(sum(taken) / len(taken) - right) < 0.056  # five standard errors at one half


def test_execution_is_the_chance_of_each_node_that_follows() -> None:
    rng, whole = random.Random(0), 0
    for star in STARS:
        text = solution(star, Style(prior=1.0, execution=0.8), rng)
        thought, boxed = thought_nodes(text), boxed_nodes(text)
        assert {*thought, *boxed} <= {far for _, far in star.edges}
        assert len(boxed) == len(thought) <= LENGTH
        whole += thought == boxed == star.path()
    assert abs(whole / len(STARS) - 0.8 ** (2 * LENGTH - 1)) < 0.056  # all nodes but the first follow
