"""`mentor doctor` over tiny models, and single groups of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.cli.doctor.configuration import Configuration, read
from mentor_pl.cli.main import main
from mentor_pl.cli.quiet import quiet

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def options(
    llama_folder: Path, llama_expert_folder: Path, word_problems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """A configuration without a fault, as a file; it writes to the test's folder."""
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {
        "model": {"policy": str(llama_folder), "expert": str(llama_expert_folder)},
        "data": {"train": str(word_problems), "steps": 30, "prompts_per_step": 4, "system_prompt": None},
        "trainer": {"accelerator": "cpu", "devices": 1},
    }
    settings["data"] |= {"sampling": {"max_new_tokens": 8}, "max_prompt_tokens": 8}
    settings["data"]["reward"] = {"class_path": "mentor_pl.rewards.math.MathReward", "init_args": {"workers": 1}}
    settings["trainer"]["logger"] = {"class_path": "lightning.pytorch.loggers.CSVLogger"}
    settings["trainer"]["logger"]["init_args"] = {"save_dir": "runs", "name": "tiny"}
    (tmp_path / "tiny.yaml").write_text(json.dumps(settings), encoding="utf-8")
    return ["--config", "tiny.yaml"]


@pytest.fixture
def configuration(options: list[str]) -> Callable[..., Configuration]:
    """(further options) -> the configuration as the groups are given it."""

    def made(*more: str) -> Configuration:
        with quiet():  # as the command itself
            return read([*options, *more])

    return made


@pytest.fixture
def doctor(options: list[str], capsys: pytest.CaptureFixture[str]) -> Doctor:
    """(further options) -> exit status and what is printed."""

    def run(*more: str) -> tuple[int, str]:
        status = main(["doctor", *options, *more])
        told = capsys.readouterr()
        return status, told.out + told.err

    return run
