"""Room, folders, loggers, and runs that lie there."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.disk import cannot_write, examine, resume_lines, run_folder, runs_folder
from mentor_pl.cli.doctor.memory import estimate_of
from mentor_pl.cli.doctor.report import Level
from mentor_pl.runtime.checkpoint_files import write

Read = Callable[..., Configuration]


def test_checkpoints_are_weights_and_optimizer_and_three_of_them_must_fit(
    configuration: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configuration()
    estimate = estimate_of(settings)
    assert estimate is not None
    count = estimate.policy.parameters
    # three checkpoints of 3 numbers for each parameter, AdamW's counters beside, and the exported policy
    need = 3 * 3 * 4 * count + 3 * 4 * len(estimate.policy.shard_shapes(1)) + 4 * count
    for free, level in ((need, Level.OK), (need - 1, Level.PROBLEM)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert examine(settings)[0].level is level


def test_checkpoints_of_adapters_are_adapters_and_the_exported_policy_is_whole(
    configuration: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("peft", reason="peft is not installed: pip install mentor-pl[lora]")
    settings = configuration("--model.adapter.rank", "2")
    estimate = estimate_of(settings)
    assert estimate is not None
    # in + out of 7 linear maps of 2 layers, rank 2, as in the tests of training/memory.py
    need = 3 * (3 * 4 * 2048 + 4 * 28) + 4 * estimate.policy.parameters
    for free, level in ((need, Level.OK), (need - 1, Level.PROBLEM)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        assert examine(settings)[0].level is level


def test_a_run_without_checkpoints_is_a_warning(configuration: Read) -> None:
    first = examine(configuration("--trainer.enable_checkpointing", "false"))[0]
    assert first.level is Level.WARNING
    assert "no checkpoint is kept" in first.text


def test_a_folder_that_cannot_be_made_is_a_problem_and_nothing_is_left_where_it_can(tmp_path: Path) -> None:
    assert cannot_write(tmp_path / "a/b/c", "the run") is None
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    found = cannot_write(tmp_path / "file/runs", "the run")
    assert found is not None
    assert found.level is Level.PROBLEM
    assert "cannot be written" in found.text


def test_every_loggers_folder_must_be_one_that_can_be_made(configuration: Read) -> None:
    Path("file").touch()
    logger = "[{class_path: lightning.pytorch.loggers.WandbLogger, init_args: {save_dir: file/boards, offline: true}}]"
    found = [one.text for one in examine(configuration("--trainer.logger+", logger)) if one.level is Level.PROBLEM]
    assert [text.split(",")[0] for text in found] == ["file/boards"]


def test_the_run_folder_is_the_loggers(configuration: Read) -> None:
    assert run_folder(configuration()) == Path("runs/tiny/version_0")
    assert runs_folder(configuration()) == Path("runs/tiny")
    assert run_folder(configuration("--trainer.logger", "false")).resolve() == Path.cwd().resolve()


def test_what_resume_auto_would_do_is_told(tmp_path: Path) -> None:
    (text,) = [finding.text for finding in resume_lines(tmp_path / "none", 9)]
    assert text.startswith("no run with a checkpoint lies in ")
    for step in (2, 4):
        write({"mentor": {"step": step, "ranks": 1}}, tmp_path / f"version_10/checkpoints/step={step}.ckpt")
    write({"mentor": {"step": 7, "ranks": 1}}, tmp_path / "version_9/checkpoints/step=7.ckpt")
    newest = tmp_path / "version_10/checkpoints/step=4.ckpt"
    assert resume_lines(tmp_path, 9)[0].text == (
        f"--resume auto goes on in {tmp_path / 'version_10'}, after step 4; 5 of 9 steps are left"
    )
    assert resume_lines(tmp_path, 4)[0].text.endswith("after step 4; all 4 steps are done")
    newest.write_bytes(newest.read_bytes()[:-9])
    damaged, left = resume_lines(tmp_path, 9)
    assert damaged.level is Level.WARNING and "step=4.ckpt is damaged" in damaged.text
    assert left.text.endswith("after step 2; 7 of 9 steps are left")
    (tmp_path / "version_10/checkpoints/step=2.ckpt").write_bytes(b"")
    assert resume_lines(tmp_path, 9)[-1].level is Level.PROBLEM


def test_models_that_must_come_from_the_hub_are_told(configuration: Read) -> None:
    found = examine(configuration("--model.policy", "someone/nothing"))
    (problem,) = [finding for finding in found if finding.level is Level.PROBLEM]  # the tests are off the net
    assert problem.text.startswith("policy someone/nothing is not in the Hub's cache")
    assert problem.remedy.startswith("hf download someone/nothing")
