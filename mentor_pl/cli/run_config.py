"""A run's settings, kept: as config.yaml in the run's folder, and in every checkpoint."""

from __future__ import annotations

from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback
from lightning.pytorch.trainer.states import TrainerFn

from mentor_pl.runtime.collectives import together
from mentor_pl.runtime.errors import StorageError
from mentor_pl.runtime.folders import claim, release
from mentor_pl.runtime.whole_files import whole_file
from mentor_pl.training.checkpoints import RunCheckpoints, run_folder

# Defaults of Lightning's callbacks, such as Timer's, are plain values by another class.
yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, value: dumper.represent_data(value.value))


class RunConfig(SaveConfigCallback):
    """Saves the merged settings; config.yaml runs again. A run without a logger has no folder, so it gets no file.

    Raises:
        UsageError: on every rank, where another process is training in the run's folder.
        StorageError: likewise, where that cannot be written to.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage != TrainerFn.FITTING:
            return
        folder = run_folder(trainer)
        text = self._text if trainer.loggers else None
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        if text is None and not any(isinstance(callback, RunCheckpoints) for callback in callbacks):
            return  # it writes nothing there
        together(lambda: _begin(folder, text) if trainer.is_global_zero else None, trainer.strategy.root_device)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        release()

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["settings"] = self.settings
        checkpoint["versions"] = [(type(logger).__name__, logger.version) for logger in trainer.loggers]

    @cached_property  # as is the text: a tenth of a second of every checkpoint
    def settings(self) -> dict[str, Any]:
        """The settings as plain values, by section."""
        loaded: dict[str, Any] = yaml.safe_load(self._text)
        return loaded

    @cached_property
    def _text(self) -> str:
        return str(self.parser.dump(self.config, skip_unset=False, skip_validation=True))


def _begin(folder: Path, text: str | None) -> None:
    """Take a run's folder, and write config.yaml there whole or not at all; none without text."""
    try:
        claim(folder)
        if text is not None:
            with whole_file(folder / "config.yaml") as file:
                file.write(text.encode())
    except OSError as error:
        raise StorageError(
            f"the run's folder {folder} cannot be written to ({error.strerror}): make room, or name another folder"
        ) from error
