"""The dials have ranges; bases and experts grow from one trunk of their width, and report every step."""

from __future__ import annotations

from typing import Any

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.maze.models import ExpertDials, MazeModels, PolicyDials


@pytest.mark.parametrize(
    ("dials", "setting", "named"),
    [
        (PolicyDials, {"prior": 1.5}, "policy.prior is 1.5, but it is a probability: give at least 0 and at most 1"),
        (PolicyDials, {"skill": -0.1}, "policy.skill is -0.1"),
        (PolicyDials, {"execution": 0.4}, "policy.execution is 0.4"),
        (ExpertDials, {"skill": float("nan")}, "expert.skill is nan"),
        (ExpertDials, {"fillers": 2.0}, "expert.fillers is 2.0"),
    ],
)
def test_a_dial_out_of_range_is_named(dials: Any, setting: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        dials(**setting)


def test_models_grow_from_one_trunk_of_their_width_and_report_every_step() -> None:
    seen = list[tuple[str, int]]()
    models = MazeModels(seed=0, scale=0.003, progress=lambda stage, steps, loss: seen.append((stage, steps)))
    base, expert = models.make(PolicyDials()), models.make(ExpertDials())
    assert seen == [("trunk", 4)] * 4 + [("policy", 2)] * 2 + [("expert", 3)] * 3
    assert not base.training
    assert not expert.training
    assert any(not value.equal(expert.state_dict()[name]) for name, value in base.state_dict().items())
    wide = models.make(ExpertDials(width=128))
    assert seen[9:] == [("trunk", 4)] * 4 + [("expert", 3)] * 3
    assert wide.num_parameters() > 3 * expert.num_parameters()
    assert all(
        value.equal(again)
        for value, again in zip(
            base.state_dict().values(), models.make(PolicyDials()).state_dict().values(), strict=True
        )
    )  # nothing that was made in between has touched the trunk
