"""The command writes problems, traces and folders that load; what is finished is copied, what is turned is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.cli.main import main
from mentor_pl.rewards.path_star import parse_problem
from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.path_star.build import FINISHED, path_star
from mentor_pl.testbed.path_star.models import PolicyDials


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_command_writes_problems_with_traces_and_the_finished_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["testbed", "path_star", "--out", str(tmp_path), "--train_problems", "30", "--traces", "20"]
    assert main([*command, "--heldout_problems", "10"]) == 0
    train, held_out = rows(tmp_path / "train.jsonl"), rows(tmp_path / "heldout.jsonl")
    assert (len(train), len(held_out)) == (30, 10)
    stars = [[frozenset(parse_problem(row["problem"]).edges) for row in side] for side in (train, held_out)]
    assert len({*stars[0], *stars[1]}) == 40
    assert [("demonstrations" in row, "decisions" in row) for row in train] == [(True, True)] * 20 + [
        (False, False)
    ] * 10
    assert not any("demonstrations" in row for row in held_out)
    for row in train[:20]:
        assert row["answer"] == " ".join(row["demonstrations"][0].split()[1:4])
    for name in ("policy", "expert"):
        assert contents(tmp_path / name) == contents(FINISHED / name)
    assert capsys.readouterr().err.count("finished weights") == 2


def test_what_is_trained_is_the_same_again_and_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small: dict[str, Any] = {"seed": 3, "scale": 0.003, "train_problems": 3, "heldout_problems": 2, "train": True}
    for run in ("once", "twice", "once"):
        path_star(tmp_path / run, **small)
    assert contents(tmp_path / "once") == contents(tmp_path / "twice")
    assert capsys.readouterr().err.count("reused") == 4
    weights = {contents(tmp_path / "once" / name)["model.safetensors"] for name in ("policy", "expert")}
    assert len(weights | {contents(FINISHED / "policy")["model.safetensors"]}) == 3


def test_a_dial_that_is_turned_trains_that_model_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path_star(tmp_path, policy=PolicyDials(prior=0.2), scale=0.003, train_problems=2, heldout_problems=2)
    report = capsys.readouterr().err
    assert "policy  (trained from nothing)" in report
    assert "expert  (finished weights)" in report
    assert json.loads((tmp_path / "policy/testbed.json").read_text())["made_of"] == {
        "task": "path_star",
        "prior": 0.2,
        "execution": 1.0,
        "seed": 0,
        "scale": 0.003,
    }


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"scale": 0.0}, "scale is 0.0"),
        ({"seed": -1}, "seed is -1"),
        ({"train_problems": 0}, "train_problems is 0"),
        ({"heldout_problems": 1_000_000}, "heldout_problems is 1000000"),
        ({"traces": -1}, "traces is -1"),
    ],
)
def test_a_setting_out_of_range_is_named(tmp_path: Path, arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        path_star(tmp_path, **arguments)
