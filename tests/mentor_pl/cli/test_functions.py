"""A sub-command from a function: its parameters are the options, and rewards remember what they were made with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from mentor_pl.cli.functions import run_function
from mentor_pl.evaluation.class_spec import spec_of
from mentor_pl.rewards.base import Reward
from mentor_pl.runtime.errors import UsageError

CALLS: list[dict[str, object]] = []


def draw(file: Path, dry: bool = False, seed: int = 0) -> None:
    """Draw something."""
    CALLS.append({"file": file, "dry": dry, "seed": seed})


def build(out: Path, seed: int = 0, reward: Reward | None = None) -> None:
    """Build something.

    It is good for much.

    Args:
        out: the folder to make.
        seed: of the noise.
        reward: a grader.
    """
    CALLS.append({"out": out, "seed": seed, "reward": reward})


def test_parameters_are_options_and_files_of_settings_merge(tmp_path: Path) -> None:
    CALLS.clear()
    (tmp_path / "one.yaml").write_text("out: x\nseed: 1\n")
    (tmp_path / "two.yaml").write_text("seed: 2\n")
    run_function(build, "thing", ["--config", str(tmp_path / "one.yaml"), "--config", str(tmp_path / "two.yaml")])
    run_function(build, "thing", ["--config", str(tmp_path / "two.yaml"), "--out=y", "--seed", "3"])
    assert [(call["out"], call["seed"]) for call in CALLS] == [(Path("x"), 2), (Path("y"), 3)]


def join(first: Path, more: Sequence[str] = (), seed: int = 0) -> None:
    """Join files."""
    CALLS.append({"first": first, "more": list(more), "seed": seed})


@pytest.mark.parametrize(
    ("words", "more"),
    [
        ([], []),
        (["--more", "b"], ["b"]),
        (["--more", "b", "--seed=1", "--more=c"], ["b", "c"]),
        (["--more", "[b, c]"], ["b", "c"]),
        (["--more+", "b", "--more+=c"], ["b", "c"]),
    ],
)
def test_an_option_of_several_values_is_given_several_times(words, more) -> None:
    CALLS.clear()
    run_function(join, "join", ["a", *words])
    assert CALLS[0]["more"] == more


def test_a_reward_knows_what_it_was_made_with() -> None:
    CALLS.clear()
    choice = "mentor_pl.rewards.choice.ChoiceReward"
    run_function(build, "thing", ["--out=x", f"--reward={choice}", "--reward.settled=last"])
    assert spec_of(CALLS[0]["reward"]) == {"class_path": choice, "init_args": {"settled": "last"}}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--out=x", "--sed=3"], "--sed: no such setting; did you mean 'seed'? Accepted: out, seed, reward"),
        (["--out=x", "--seed=a"], "--seed: expected an integer, got 'a'"),
        ([], "required, but not set: out (a path). Set in a --config file or with --out=..."),
        (["--out=x", "--reward=mentor_pl.rewards.choice.ChoiseReward"], "--reward: module 'mentor_pl.rewards.choice' "
         "has no 'ChoiseReward'; did you mean mentor_pl.rewards.choice.ChoiceReward?"),
    ],
    ids=["unknown", "type", "missing", "class"],
)  # fmt: skip
def test_a_mistake_is_one_line(arguments: list[str], line: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_function(build, "thing", arguments)
    assert str(caught.value) == line


def test_the_docstring_is_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        run_function(build, "thing", ["--help"])
    told = capsys.readouterr().out
    assert "Build something. It is good for much." in told
    assert "the folder to make" in told


@pytest.mark.parametrize(
    ("arguments", "dry", "seed"),
    [
        (["x", "--dry"], True, 0),
        (["x", "--dry", "--seed", "3"], True, 3),
        (["--file", "x", "--dry=false"], False, 0),
        (["x", "--seed=3", "--dry", "true"], True, 3),
    ],
)
def test_a_required_file_may_stand_first_and_a_switch_alone(arguments: list[str], dry: bool, seed: int) -> None:
    CALLS.clear()
    run_function(draw, "thing", arguments)
    (call,) = CALLS
    assert call == {"file": Path("x"), "dry": dry, "seed": seed}


def show(run: Path, beside: Path | None = None, out: Path | None = None) -> None:
    """Show something."""
    CALLS.append({"run": run, "beside": beside, "out": out})


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (["a"], {"run": Path("a"), "beside": None, "out": None}),
        (["a", "b"], {"run": Path("a"), "beside": Path("b"), "out": None}),
        (["a", "b", "--out=c"], {"run": Path("a"), "beside": Path("b"), "out": Path("c")}),
        (["--beside", "b", "--run", "a"], {"run": Path("a"), "beside": Path("b"), "out": None}),
    ],
)
def test_an_optional_file_that_is_asked_for_next_may_stand_second(arguments: list[str], call: object) -> None:
    CALLS.clear()
    run_function(show, "show", arguments)
    assert [call] == CALLS
    with pytest.raises(UsageError, match="c: not understood"):
        run_function(show, "show", ["a", "b", "c"])


def test_what_is_no_option_and_stands_elsewhere_is_refused() -> None:
    with pytest.raises(UsageError, match="y: not understood"):
        run_function(draw, "thing", ["x", "y"])
    with pytest.raises(UsageError, match="x: not understood"):
        run_function(build, "thing", ["--out=x", "x"])
