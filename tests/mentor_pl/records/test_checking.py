"""What has a record's columns and is none."""

from __future__ import annotations

import pytest
from recorded_runs import alternative, row, table

from mentor_pl.records.checking import misfit

THREE = row(
    ["a", "U", "<eos>"], origin="mixture", coins=[0.5] * 3, alternatives=[alternative(1, policy={"U": 0.5})],
    parts=[{"name": "outcome", "value": 1.0}],
)  # fmt: skip


@pytest.mark.parametrize("columns", [{}, {"reward": None}, {"coins": []}, {"divergences": [0.0] * 3}])
def test_a_record_is_one(columns) -> None:
    assert misfit(table([THREE, THREE | columns]), 5) is None
    assert misfit(table([]), 5) is None


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"group": None}, "group has values that are missing"),
        ({"logprobs": None}, "logprobs has values that are missing"),
        ({"logprobs": [-1.0, None, -1.0]}, "logprobs has values that are missing"),
        ({"parts": [{"name": None, "value": 1.0}]}, "parts has values that are missing"),
        ({"step": 6}, "it has rollouts of step 6"),
        ({"origin": "stranger"}, "origin is 'stranger'"),
        ({"logprobs": [-1.0]}, "rollout 1 of 3 tokens has 1 logprobs"),
        ({"length": 2}, "rollout 1 of 2 tokens has 3 ids"),
        ({"coins": [0.5]}, "rollout 1 of 3 tokens has 1 coins"),
        ({"alternatives": [alternative(3)]}, "alternatives are of tokens that are not there"),
        ({"alternatives": [alternative(-1)]}, "alternatives are of tokens that are not there"),
        (
            {"alternatives": [alternative(1, expert={"U": 0.5}) | {"expert": [0.5, 0.25]}]},
            "alternatives of expert have tokens without probability or text",
        ),
    ],
)
def test_what_it_is_not_is_told(columns, reason) -> None:
    assert misfit(table([THREE, THREE | columns]), 5) == reason
