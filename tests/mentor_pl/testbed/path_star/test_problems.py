"""Stars are what they say, and each is on one side for good."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from mentor_pl.rewards.path_star import parse_problem
from mentor_pl.testbed.path_star.problems import ARMS, LENGTH, NODES, Side, draw, problems, side_of


@pytest.mark.parametrize("side", ["train", "heldout"])
def test_a_problem_is_a_star_of_five_arms_of_three_nodes(side: Side) -> None:
    for star in problems(side, 100):
        assert parse_problem(star.text()) == star
        assert [len(arm) for arm in star.arms.values()] == [LENGTH] * ARMS
        assert {star.start, *(far for _, far in star.edges)} == set(NODES)
        assert side_of(star) == side


def test_a_side_is_told_by_the_star_alone() -> None:
    rng = random.Random(0)
    for star in (draw(rng) for _ in range(20)):
        for arm in star.arms.values():
            again = replace(star, edges=tuple(rng.sample(star.edges, len(star.edges))), goal=arm[-1])
            assert side_of(again) == side_of(star)


def test_a_tenth_is_held_out() -> None:
    rng = random.Random(0)
    share = sum(side_of(draw(rng)) == "heldout" for _ in range(4_000)) / 4_000
    assert 0.075 < share < 0.125  # five standard errors are 0.024


def test_no_seed_puts_a_star_on_the_other_side_or_in_twice() -> None:
    stars = {seed: {frozenset(star.edges) for star in problems("train", 300, seed)} for seed in (0, 1)}
    assert [len(found) for found in stars.values()] == [300, 300]
    assert stars[0] != stars[1]
    assert not (stars[0] | stars[1]) & {frozenset(star.edges) for star in problems("heldout", 300)}


def test_the_first_problems_do_not_depend_on_how_many_there_are() -> None:
    assert problems("heldout", 20)[:5] == problems("heldout", 5)


def test_the_goal_is_on_every_arm_alike_and_edges_stand_in_any_order() -> None:
    stars = problems("train", 2_000)
    first_edge_is_the_goals = sum(star.edges[0][1] == star.goal for star in stars) / 2_000
    assert abs(first_edge_is_the_goals - 1 / 15) < 0.028  # five standard errors
    # the arm whose first edge is written first is the right one once in five
    assert abs(sum(next(iter(star.arms)) == star.path()[0] for star in stars) / 2_000 - 1 / ARMS) < 0.045
