"""The dials have ranges; base and expert of a task grow from one trunk, which saw the training side only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.gym import models
from mentor_pl.testbed.gym.models import ExpertDials, GymModels, PolicyDials


@pytest.mark.parametrize(
    ("dials", "setting", "named"),
    [
        (PolicyDials, {"prior": 1.5}, "policy.prior is 1.5, but it is a probability: give at least 0 and at most 1"),
        (PolicyDials, {"skill": -0.1}, "policy.skill is -0.1"),
        (PolicyDials, {"execution": 0.4}, "policy.execution is 0.4"),
        (ExpertDials, {"skill": float("nan")}, "expert.skill is nan"),
    ],
)
def test_a_dial_out_of_range_is_named(dials: Any, setting: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        dials(**setting)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Calls of `rows`, in whose place a few questions stand."""
    calls = list[tuple[str, str, int]]()

    def few(task: str, side: str, seed: int) -> Iterator[dict[str, str]]:
        calls.append((task, side, seed))
        text = "State the final answer to the following arithmetic problem:"
        return ({"problem": f"{text} {n % 10} + 8 - 3 - 0 + 4 ="} for n in range(100))

    monkeypatch.setattr(models, "rows", few)
    return calls


def test_models_grow_from_one_trunk_and_report_every_step(asked: list[tuple[str, str, int]]) -> None:
    seen = list[tuple[str, int]]()
    made = GymModels("chain_sum", 0, 0.003, lambda stage, steps, loss: seen.append((stage, steps)))
    base, expert = made.make(PolicyDials()), made.make(ExpertDials())
    assert seen == [("trunk", 4)] * 4 + [("policy", 2)] * 2 + [("expert", 2)] * 2
    assert asked == [("chain_sum", "train", 1)]
    assert any(not value.equal(expert.state_dict()[name]) for name, value in base.state_dict().items())
    assert 100_000 < base.num_parameters() < 130_000


def test_a_wording_that_is_not_known_is_refused(asked: list[tuple[str, str, int]]) -> None:
    with pytest.raises(UsageError, match=r"reasoning_gym words this unlike version 0\.1\.25: install that one: 'State"):
        GymModels("countdown", 0, 0.003, lambda *_: None).make(PolicyDials())
