"""`--help` begins with this project's settings, on two screens; `--help_all` has every setting there is."""

import sys
from dataclasses import dataclass

import pytest

from mentor_pl.cli.help import short_help
from mentor_pl.cli.main import main


def told(capsys, *words):
    try:
        status = main([*words])
    except SystemExit as exit_:
        status = exit_.code
    assert status == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_the_help_is_two_screens_with_our_settings_first(command, capsys):
    lines = told(capsys, command, "--help").splitlines()
    assert len(lines) <= 120
    assert max(map(len, lines)) <= 120
    ours, trainer = (next(i for i, line in enumerate(lines) if key in line) for key in ("--model.policy", "--trainer."))
    assert ours < trainer
    assert any("--data.train" in line for line in lines) == (command == "fit")
    assert any("--help_all" in line for line in lines)


def test_help_all_has_every_setting(capsys):
    text = told(capsys, "fit", "--help_all")
    for key in ("--trainer.max_steps", "--trainer.sync_batchnorm", "--model.policy", "--data.select.near"):
        assert key in text


@dataclass(frozen=True)
class Inner:
    """What lies inside.

    Attributes:
        width: how wide.
        depth: how deep.
    """

    width: int = 1
    depth: int = 2


Inner.__module__ = "mentor_pl.inner"  # as a class of the project


class Outer:
    """What lies outside.

    Args:
        path: a place.
        fast: whether it is.
        inner: all of them.
        text: words that go on and on until nothing of them can be seen.
    """

    def __init__(self, path: str, fast: bool = True, inner: Inner = Inner(width=7), text: str = "x" * 30) -> None: ...


def test_an_entry_has_the_default_that_holds_and_the_constructors_words():
    lines = short_help("fit", {"data": Outer}).splitlines()
    entries = {line.split()[0]: " ".join(line.split()[1:]) for line in lines if line.startswith("  --data.")}
    assert entries == {
        "--data.path": "required: a place.",
        "--data.fast": "[true] whether it is.",
        "--data.inner.width": "[7] how wide.",
        "--data.inner.depth": "[2] how deep.",
        "--data.text": "words that go on and on until nothing of them can be seen.",
    }


def test_an_exit_that_a_library_has_wrapped_is_still_the_parsers(capsys, monkeypatch):
    """W&B puts a function of its own in place of sys.exit."""
    leave = sys.exit

    def exit(code=None):
        leave(code)

    monkeypatch.setattr(sys, "exit", exit)
    assert "--trainer.max_steps" in told(capsys, "fit", "--help_all")
