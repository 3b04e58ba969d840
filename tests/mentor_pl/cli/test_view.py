"""`mentor view`, through the command line; what its page does is tried in tests/mentor_pl/records/page."""

from __future__ import annotations

from pathlib import Path

import pytest
from recorded_runs import Mazes

from mentor_pl.cli.main import main


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with two runs, and one without records."""
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate(("one", "two")):
        Mazes(steps=(5, 10), prompts=2, policy=2, mixture=2, seed=seed).write(Path(name))
    Path("empty").mkdir()


def test_the_page_lies_in_the_runs_folder_and_its_path_is_printed_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", "one"]) == 0
    assert capsys.readouterr().out.splitlines() == ["one: all 2 recorded steps", str(Path("one/view.html").absolute())]
    assert Path("one/view.html").read_text("utf-8").startswith("<!doctype html>")


def test_a_second_run_steps_and_limits_are_options_and_what_is_left_out_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["view", "one", "two", "--out", "both.html", "--steps", "10", "--rollouts", "4"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "one: left out: 1 of 2 recorded steps and 4 of 8 rollouts of the step shown",
        "two: left out: 1 of 2 recorded steps and 4 of 8 rollouts of the step shown",
        str(Path("both.html").absolute()),
    ]
    html = Path("both.html").read_text("utf-8")
    assert 'id="step-1-10"' in html
    assert 'id="step-0-5"' not in html


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["empty"], "empty has no records of rollouts: train with callbacks.RolloutRecord among trainer.callbacks"),
        (["nowhere"], "nowhere: no such folder"),
        (["one", "empty"], "empty has no records of rollouts"),
        (["one", "--steps", "7"], "one has no record of step 7; it has steps 5, 10"),
        (["one", "--rollouts", "0"], "--rollouts is 0: give at least 1"),
        (["one", "--megabytes", "0"], "--megabytes is 0.0, but browsers hold no more, and less holds no step"),
        (["one", "two", "three"], "three: not understood"),
        ([], "required, but not set: run (a path)"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["view", *arguments]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("mentor: error: ")
    assert line in told


def test_a_record_that_is_none_is_passed_over_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("one/rollouts/step=000005.parquet").write_bytes(b"PAR1 and so on")
    assert main(["view", "one"]) == 0
    damaged, left_out, _ = capsys.readouterr().out.splitlines()
    assert damaged.startswith("passed over: one/rollouts/step=000005.parquet is no record of rollouts (")
    assert left_out == "one: left out: 1 of 2 recorded steps and what is damaged: step=000005.parquet"
    assert main(["view", "one", "--steps", "5"]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert "step=000005.parquet is no record of rollouts" in told


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["view", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    for words in ("mentor view RUN [RUN2]", "callbacks.RolloutRecord", "needs no server", "by default view.html"):
        assert words in told
