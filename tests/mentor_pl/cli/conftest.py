"""`mentor` over stand-in classes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

import cli_standin

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
