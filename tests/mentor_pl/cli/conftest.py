"""`mentor` over stand-in classes, and small runs of its own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import cli_standin
from small_fit import EXTRAS, RUN, fit

from mentor_pl.cli import lightning, main

BASE = """\
model: {policy: a, lr: 0.5}
data: {train: b}
trainer:
  accelerator: cpu
  devices: 1
  max_epochs: 1
  enable_progress_bar: false
  enable_model_summary: false
  enable_checkpointing: false
  log_every_n_steps: 1
  logger: {class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: run, name: "", version: ""}}
  callbacks: [{class_path: cli_standin.Note, init_args: {text: first}}]
"""

Mentor = Callable[..., int]


@pytest.fixture
def mentor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mentor:
    """`mentor` in an empty folder with base.yaml, over the stand-in classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    Path("base.yaml").write_text(BASE)
    run = lambda args: lightning.start(cli_standin.Module, cli_standin.Data, args)  # noqa: E731
    monkeypatch.setattr(lightning, "run", run)
    cli_standin.EVENTS.clear()
    return lambda *args: main.main(args)


def trained(small_testbed, folder, *options, **every):
    """A folder with a finished run of three steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copytree(small_testbed, "data/testbed")
        assert fit(3, *options, **every) == 0
    return folder


@pytest.fixture(scope="session")
def three_steps(small_testbed, tmp_path_factory):
    return trained(small_testbed, tmp_path_factory.mktemp("three"))


@pytest.fixture
def small_project(testbed_project, monkeypatch):
    (testbed_project / "extras.py").write_text(EXTRAS, encoding="utf-8")
    monkeypatch.setenv("MENTOR_CACHE", str(testbed_project / "cache"))
    return testbed_project


@pytest.fixture
def after_three(small_project, three_steps):
    shutil.copytree(three_steps / "runs", "runs")


@pytest.fixture(scope="session")
def three_recorded(small_testbed, tmp_path_factory):
    """A run of three steps with a record of each, and the checkpoints of the last two."""
    folder = tmp_path_factory.mktemp("recorded")
    return trained(small_testbed, folder, "--trainer.callbacks+=callbacks.RolloutRecord", every=1)


@pytest.fixture
def recorded_project(three_recorded, monkeypatch):
    """That folder as the current one; not to be written to."""
    monkeypatch.chdir(three_recorded)


@pytest.fixture
def recorded_copy(recorded_project, tmp_path):
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(RUN, tmp_path / "run"))
