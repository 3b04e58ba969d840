"""What a recorded run was made of: its settings, its checkpoints, its data module, its policy at a step."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentError, ArgumentParser

from mentor_pl.models.loading import Models, load_policy
from mentor_pl.models.lora import LoRA
from mentor_pl.models.source import ModelSource
from mentor_pl.models.text_expert import paired
from mentor_pl.runtime.checkpoint_files import SafeCheckpointIO, damage, misfits
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.adapted_state import refuse_other_adapter
from mentor_pl.training.checkpoints import read
from mentor_pl.training.data import RolloutDataModule


@dataclass(frozen=True)
class Before:
    """The last weights of a run before a step.

    Attributes:
        checkpoint: that has them; none where they are those that the run began with.
        done: batches of rollouts that they have learned from.
        settings: of the run as it made the step.
    """

    checkpoint: Path | None
    done: int
    settings: dict[str, Any]

    @property
    def words(self) -> str:
        """In words."""
        return "the run's start" if self.checkpoint is None else f"checkpoint {self.checkpoint.name}"


def check_run(run: Path) -> None:
    """Refuse what is no folder, and let classes that the run's settings name be found here, as `mentor fit` does.

    Raises:
        UsageError: where it is none.
    """
    if not run.is_dir():
        raise UsageError(f"there is no folder '{run}': give that of a run, such as runs/quickstart/version_0")
    if os.getcwd() not in sys.path:  # behind all that is installed
        sys.path.append(os.getcwd())


def checkpoints_of(run: Path) -> dict[int, Path]:
    """A run's checkpoints that are whole, by the batches of rollouts that they have seen."""
    return {read(path).step: path for path in sorted((run / "checkpoints").glob("*.ckpt")) if damage(path) is None}


def weights_before(run: Path, step: int) -> Before:
    """The last weights that are there of before a step.

    Raises:
        UsageError: where no checkpoint is before it, and the run began from one of another run or has no settings.
    """
    saved = checkpoints_of(run)
    done = max((done for done in saved if done < step), default=0)
    # a run may go on with other settings, such as more steps: those of the step are in the next checkpoint, else the
    # run's; a run without a logger has none but in checkpoints
    behind = min((one for one in saved if one >= step), default=None)
    settings = read(saved[behind]).settings if behind is not None else {}
    if not settings and done and not (run / "config.yaml").exists():
        settings = read(saved[done]).settings
    settings = settings or _settings(run)
    if not done and settings.get("ckpt_path"):
        raise UsageError(
            f"{run} has no checkpoint before step {step}, and it began from {settings['ckpt_path']}: keep more "
            "checkpoints, by keep of callbacks.RunCheckpoints, or take a step behind one"
        )
    return Before(saved.get(done), done, settings)


def _settings(run: Path) -> dict[str, Any]:
    file = run / "config.yaml"
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UsageError(f"{file} cannot be read ({reason}): give the folder of a run of mentor fit") from None
    if not isinstance(loaded, dict) or not isinstance(loaded.get("model"), dict):
        raise UsageError(f"{file} is no configuration: give the folder of a run of mentor fit")
    return loaded


def made(kinds: Mapping[str, Any], values: Mapping[str, Any], what: str) -> Any:
    """What settings name, made.

    Args:
        kinds: name -> the type that is wanted.
        values: name -> its settings.
        what: they are of, for the refusal.

    Raises:
        UsageError: where one cannot be made.
    """
    parser = ArgumentParser(exit_on_error=False)
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind)
    try:
        return parser.instantiate_classes(parser.parse_object(dict(values)))
    except (ArgumentError, TypeError, ValueError) as error:
        raise UsageError(f"{what}: {' '.join(str(error).split())[:200]}") from None


def data_of(before: Before) -> RolloutDataModule:
    """The run's data module: problems, reward, how it sampled."""
    spec = {"class_path": f"{RolloutDataModule.__module__}.RolloutDataModule", "init_args": before.settings["data"]}
    found: RolloutDataModule = made({"data": RolloutDataModule}, {"data": spec}, "the run's data").data
    return found


def models_of(before: Before) -> Models:
    """The run's policy with these weights, in float32, on a GPU where there is one; no expert.

    Raises:
        UsageError: for models that cannot be read, and weights of another.
    """
    model = before.settings["model"]
    sources = [
        ModelSource(model[role], role, bool(model.get("trust_remote_code"))) if model.get(role) else None
        for role in ("policy", "expert")
    ]
    assert sources[0] is not None
    tokenizer, vocabulary, _ = paired(sources[0], sources[1], model.get("stop_tokens"))
    adapter = LoRA(**model["adapter"]) if model.get("adapter") else None
    policy = load_policy(sources[0], adapter=adapter)
    if before.checkpoint is not None:
        saved = SafeCheckpointIO().load_checkpoint(before.checkpoint)
        refuse_other_adapter(policy, saved["mentor"])
        weights = {name.removeprefix("policy."): value for name, value in saved["state_dict"].items()}
        with misfits():
            policy.load_state_dict(weights, strict=adapter is None)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Models(policy.to(device), None, tokenizer, vocabulary)
