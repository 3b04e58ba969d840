"""On-policy RL asks for G policy rows of each problem and standardises within the group."""

import pytest

from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt

PROMPTS = [Prompt(8, "eight", "8", (1, 2)), Prompt(3, "three", "3", (4,))]


def test_one_round_of_g_policy_rows_of_each_problem_whatever_alpha():
    for alpha in (1.0, 0.0):
        (rows,) = GRPO(3).rounds(Step(PROMPTS, alpha))
        assert [(row.prompt.index, row.number) for row in rows] == [(8, 0), (8, 1), (8, 2), (3, 0), (3, 1), (3, 2)]
        assert {row.origin for row in rows} == {Origin.POLICY}
        assert [row.context for row in rows[::3]] == [(1, 2), (4,)]


def test_it_asks_no_expert_and_alpha_means_nothing():
    assert not GRPO().uses_expert
    assert not GRPO().uses_alpha
    assert GRPO().state_dict() == {}


@pytest.mark.parametrize("count", [1, 0, -1])
def test_a_group_of_fewer_than_two_is_a_usage_error(count):
    with pytest.raises(UsageError, match=f"group_size is {count}"):
        GRPO(count)
