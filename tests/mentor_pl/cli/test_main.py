"""What the command runs, how settings merge, and how it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent))

import cli_standin

from mentor_pl import __version__
from mentor_pl.cli import main

Mentor = Callable[..., int]


def test_classes_in_the_current_folder_are_found(mentor: Mentor) -> None:
    Path("folder_callbacks.py").write_text("from cli_standin import Note\nclass Mine(Note): ...\n")
    option = "--trainer.callbacks={class_path: folder_callbacks.Mine, init_args: {text: mine}}"
    assert mentor("fit", "--config", "base.yaml", "--data.size=2", option) == 0
    assert cli_standin.EVENTS == ["mine", "lr 0.5"]


@pytest.mark.parametrize(
    ("arguments", "line", "status"),
    [
        (["--model.mode=slow"], "mentor: error: --model.mode: expected one of fast, exact, got 'slow'", 2),
        (
            ["--model.gate=cli_standin.EntropyGate", "--model.gate.p=7"],
            "mentor: error: gate p is 7.0, but lies in (0, 1)",
            2,
        ),
        (["--model.fail=usage"], "mentor: error: reward 3 is outside [0, 1]", 2),
        (["--model.fail=divergence"], "mentor: error: loss is nan at step 3", 1),
        (["--trainer.strategy=foo"], "mentor: error: trainer: You selected an invalid strategy name", 2),
        (
            ["--trainer.callbacks+={class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {mode: x}}"],
            "mentor: error: `mode` can be min, max but got x",
            2,
        ),
    ],
    ids=["parsing", "construction", "training", "divergence", "Trainer", "callback"],
)
def test_a_mistake_ends_in_one_line_wherever_it_is_found(
    mentor: Mentor, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str, status: int
) -> None:
    assert mentor("fit", "--config", "base.yaml", *arguments) == status
    told = [row for row in capsys.readouterr().err.splitlines() if row.startswith("mentor:")]
    assert len(told) == 1
    assert told[0].startswith(line)
    assert "Traceback" not in capsys.readouterr().err


def test_a_bug_keeps_its_traceback(mentor: Mentor) -> None:
    with pytest.raises(ValueError, match="a bug"):
        mentor("fit", "--config", "base.yaml", "--model.fail=bug")


def test_an_interrupt_ends_in_one_line_and_status_130(mentor: Mentor, capsys: pytest.CaptureFixture[str]) -> None:
    handlers = [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)]
    assert mentor("fit", "--config", "base.yaml", "--model.fail=interrupt") == 130
    assert [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert capsys.readouterr().err.splitlines()[-1] == (
        "mentor: stopped by SIGINT, nothing new to save; the same command: mentor fit --config base.yaml "
        "--model.fail=interrupt"
    )


def test_before_ranks_are_joined_only_rank_zero_speaks(
    mentor: Mentor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert mentor("fit", "--config", "nope.yaml") == 2
    assert capsys.readouterr().err == ""


def test_among_joined_ranks_the_first_that_fails_speaks_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    store = torch.distributed.TCPStore("localhost", 0, is_master=True)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    monkeypatch.setenv("MASTER_PORT", str(store.port))
    monkeypatch.setenv("RANK", "1")
    assert [main._speaks(), main._speaks()] == [True, False]


@pytest.mark.parametrize("rank", ["0", "1"])
def test_where_the_ranks_met_nowhere_rank_zero_speaks(monkeypatch: pytest.MonkeyPatch, rank: str) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    monkeypatch.setenv("RANK", rank)
    assert main._speaks() == (rank == "0")


def test_help_names_every_command_and_imports_nothing_heavy(
    mentor: Mentor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(main, "import_module", lambda name: pytest.fail(f"{name} was imported"))
    assert mentor("--help") == 0
    told = capsys.readouterr().out
    for command, summary in {**main.TRAINER_COMMANDS, **{w: s for w, (s, _) in main.COMMANDS.items()}}.items():
        assert any(line.split(maxsplit=len(command.split()))[-1:] == [summary] for line in told.splitlines()), command
    assert "mentor fit --config configs/quickstart.yaml" in told
    assert mentor("--version") == 0
    assert capsys.readouterr().out == f"mentor {__version__}\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["fti"], "no command 'fti'; did you mean 'fit'? Commands are fit, validate, test, "),
        (["xyz"], "no command 'xyz'; see mentor --help. Commands are fit, validate, test, "),
        (["testbed"], "no command 'mentor testbed'; there is 'mentor testbed build'"),
        (["testbed", "bild"], "no command 'mentor testbed bild'; there is 'mentor testbed build'"),
    ],
)
def test_a_misspelt_command_gets_the_nearest(
    mentor: Mentor, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    assert mentor(*words) == 2
    assert capsys.readouterr().err.startswith(f"mentor: error: {line}")


GRADE = ("grade", "--pairs", "pairs.jsonl")


@pytest.mark.parametrize("start", ["import sys; from mentor_pl.cli.main import main; sys.exit(main())", None])
def test_modules_of_the_current_folder_are_not_imported_where_no_class_is_named(
    start: str | None, tmp_path: Path
) -> None:
    for name in ("json", "rich", "peft", "kernels", "gmpy2", "callbacks"):  # installed, optional, and ours
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    (tmp_path / "pairs.jsonl").write_text('{"prediction": "1", "gold": "1"}\n', encoding="utf-8")
    root = str(Path(__file__).parents[3])
    program = ["-P", "-c", start] if start else ["-m", "mentor_pl.cli"]
    done = subprocess.run(
        [sys.executable, *program, *GRADE],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_stranger_cannot_speak_to_the_terminal_by_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["grade", "--samples", "no\x1b[2Jwhere"]) == 2
    assert r"no\x1b[2Jwhere: no samples here" in capsys.readouterr().err


def test_a_seed_out_of_range_is_refused(mentor: Mentor, capsys: pytest.CaptureFixture[str]) -> None:
    assert mentor("fit", "--config", "base.yaml", "--seed_everything=-3") == 2
    assert "mentor: error: seed_everything is -3, but" in capsys.readouterr().err


def test_the_traceback_of_a_refusal_is_shown_on_request(
    mentor: Mentor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MENTOR_TRACEBACK", "1")
    assert mentor("fit", "--config", "base.yaml", "--model.fail=usage") == 2
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert told.splitlines()[-1] == "mentor: error: reward 3 is outside [0, 1]"


def test_a_terminal_of_ascii_is_told_what_it_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main.main(["--version"]) == 0
    print("α")
    terminal.flush()
    assert terminal.buffer.getvalue().endswith(b"\\u03b1\n")  # type: ignore[attr-defined]


def test_a_current_folder_that_is_gone_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main.main(["grade"]) == 2
    assert capsys.readouterr().err.startswith("mentor: error: the current folder has been removed: change")
