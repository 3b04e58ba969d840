"""The whole command: exit status, what is shown although something is missing, and what is never touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mentor_pl.cli.doctor import disk, machine
from mentor_pl.cli.doctor.report import ok
from mentor_pl.cli.main import help_text, main
from mentor_pl.models import loading
from mentor_pl.testbed.maze.build import build

ROOT = Path(__file__).parents[4]
GROUPS = ["Machine", "Policy and expert", "Data", "Reward", "Memory", "Disks and loggers"]
Doctor = Callable[..., tuple[int, str]]


def titles(out: str) -> list[str]:
    return [line for line in out.splitlines() if line and not line.startswith(" ")][:-1]


def test_a_configuration_without_a_fault_ends_with_0_and_loads_no_weights(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(loading.ModelSource, "weights", lambda *_: pytest.fail("weights were loaded"))
    before = sorted(tmp_path.rglob("*"))
    status, out = doctor()
    assert status == 0, out
    assert titles(out) == GROUPS
    assert not any(line.startswith("  problem") for line in out.splitlines())
    assert sorted(tmp_path.rglob("*")) == before  # nothing is left behind


def test_the_quick_start_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tmp_path / "data/testbed", train_problems=24, heldout_problems=8)
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--config", str(ROOT / "configs/quickstart.yaml")]) == 0
    out = capsys.readouterr().out
    assert "all is fine" in out
    assert "gold answers as responses: 8 of 8 graded right" in out
    assert "benchmarks: maze" in out


def test_what_is_missing_is_one_line_each_and_the_rest_is_shown(doctor: Doctor) -> None:
    status, out = doctor("--model.expert", "no/such/folder", "--data.train", "nothing.jsonl")
    assert status == 1
    assert titles(out) == GROUPS
    assert out.count("no such folder here") == 1
    assert out.count("nothing.jsonl") == 1
    assert "CSVLogger writes to runs" in out


def test_without_the_expert_problems_and_reward_are_examined_with_the_policys_tokenizer(doctor: Doctor) -> None:
    status, out = doctor("--model.expert", "no/such/folder")
    assert status == 1
    assert "40 of 40 problems can be used" in " ".join(out.split())
    assert "graded right" in out


@pytest.mark.parametrize(
    ("option", "line"),
    [
        ("--model.alpha=-1", "model.alpha is -1.0"),
        ("--model.polcy=x", "--model.polcy: no such setting; did you mean 'policy'?"),
        ("--data.sampling.top_p=3", "sampling top_p is 3.0"),
        ("--trainer.precision=64-true", "trainer.precision is 64-true"),
        ("--trainer.max_epochs=3", "trainer.max_epochs is 3"),
        ("--trainer.strategy=foo", "trainer: You selected an invalid strategy name"),
        ("--model.expert=null", "algorithm Mentor asks an expert, but model.expert is null"),
    ],
    ids=["module", "name", "nested", "precision", "epochs", "Trainer", "pair"],
)
def test_wrong_settings_are_refused_as_by_fit_with_2(doctor: Doctor, option: str, line: str) -> None:
    status, out = doctor(option)
    assert status == 2
    assert out.splitlines()[-1].startswith(f"mentor: error: {line}")


def test_wrong_settings_are_refused_also_where_models_are_missing(doctor: Doctor) -> None:
    assert doctor("--model.policy=no/such/folder", "--model.alpha=-1")[0] == 2


def test_a_module_that_ends_the_process_is_refused_as_by_fit(doctor: Doctor) -> None:
    Path("ending.py").write_text("raise SystemExit(0)\n")
    status, out = doctor("--data.reward", "ending.Reward")
    assert status == 2
    assert "ending.py:1: ends the process (SystemExit 0)" in out


def test_a_group_that_fails_does_not_hide_the_others(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "examine", lambda _: 1 / 0)
    monkeypatch.setattr(disk, "examine", lambda _: [ok("disks")])
    status, out = doctor()
    assert status == 0
    assert "not examined: ZeroDivisionError" in out
    assert "ok      disks" in out


def test_help_says_how_and_the_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--help"]) == main(["doctor"]) == 0
    assert "Exit status: 0" in capsys.readouterr().out
    assert "  doctor " in help_text()
