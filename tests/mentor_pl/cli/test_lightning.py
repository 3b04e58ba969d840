"""How settings merge, and where they come from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

sys.path.append(str(Path(__file__).parent))

import cli_standin

from mentor_pl.cli.lightning import TrainerParser

Mentor = Callable[..., int]


def test_a_later_config_wins_and_an_option_wins_over_both(mentor: Mentor) -> None:
    Path("later.yaml").write_text("model: {lr: 0.25}\ndata: {size: 2}\n")
    assert mentor("fit", "--config", "base.yaml", "--config", "later.yaml") == 0
    assert mentor("fit", "--config", "base.yaml", "--config", "later.yaml", "--model.lr=0.125") == 0
    assert cli_standin.EVENTS == ["first", "lr 0.25", "first", "lr 0.125"]


def test_callbacks_replace_and_callbacks_plus_appends(mentor: Mentor) -> None:
    note = "[{class_path: cli_standin.Note, init_args: {text: second}}]"
    Path("replace.yaml").write_text(f"trainer: {{callbacks: {note}}}\ndata: {{size: 2}}\n")
    Path("append.yaml").write_text(f"trainer: {{callbacks+: {note}}}\ndata: {{size: 2}}\n")
    assert mentor("fit", "--config", "base.yaml", "--config", "replace.yaml") == 0
    assert mentor("fit", "--config", "base.yaml", "--config", "append.yaml") == 0
    assert cli_standin.EVENTS == ["second", "lr 0.5", "first", "second", "lr 0.5"]


def test_a_reference_sees_the_merged_value(mentor: Mentor) -> None:
    Path("later.yaml").write_text("data: {size: 2}\nmodel: {lr: '${data.size}'}\n")
    assert mentor("fit", "--config", "base.yaml", "--config", "later.yaml", "--data.size=4") == 0
    assert cli_standin.EVENTS == ["first", "lr 4.0", "lr 4.0"]


def test_the_saved_config_replays_into_the_same_folder(mentor: Mentor) -> None:
    assert mentor("fit", "--config", "base.yaml", "--model.lr=0.25", "--model.gate=cli_standin.EntropyGate") == 0
    saved = Path("run/config.yaml").read_text()
    assert yaml.safe_load(saved)["model"]["gate"]["init_args"] == {"p": 0.95, "source": "current"}
    first = cli_standin.EVENTS.copy()
    assert mentor("fit", "--config", "run/config.yaml") == 0
    assert first * 2 == cli_standin.EVENTS
    assert Path("run/config.yaml").read_text() == saved


def test_settings_come_from_the_configuration_and_not_from_the_checkpoint(mentor: Mentor) -> None:
    assert mentor("fit", "--config", "base.yaml", "--trainer.enable_checkpointing=true") == 0
    checkpoint = Path("other.ckpt")
    next(Path("run").rglob("*.ckpt")).rename(checkpoint)
    saved = torch.load(checkpoint, weights_only=True)
    torch.save(saved | {"hyper_parameters": {"lr": 99.0}}, checkpoint)
    cli_standin.EVENTS.clear()
    arguments = [
        "--trainer.max_epochs=2",
        "--model.lr=0.125",
        f"--ckpt_path={checkpoint}",
        "--resume_changes",
        "trainer",
        "model.lr",
    ]
    assert mentor("fit", "--config", "base.yaml", *arguments) == 0
    assert cli_standin.EVENTS == ["first", "lr 0.125", "lr 0.125"]


def test_parsers_of_classes_are_made_once_for_all_calls(mentor: Mentor, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mentor("fit", "--config", "base.yaml", "--data.size=2") == 0
    made, make = [], TrainerParser.__init__

    def counted(parser: TrainerParser, *arguments: Any, **options: Any) -> None:
        made.append(options)
        make(parser, *arguments, **options)

    monkeypatch.setattr(TrainerParser, "__init__", counted)
    assert mentor("fit", "--config", "base.yaml", "--data.size=2") == 0
    assert len(made) == 2  # of mentor and of fit; jsonargparse keeps those of classes for good
