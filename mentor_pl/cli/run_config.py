"""A run's settings, kept: as config.yaml in the run's folder, and in every checkpoint."""

from __future__ import annotations

from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback


class RunConfig(SaveConfigCallback):
    """Saves the merged settings; config.yaml runs again. A run without a logger has no folder, so it gets no file."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if trainer.loggers:
            super().setup(trainer, pl_module, stage)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["settings"] = self.settings()

    def settings(self) -> dict[str, Any]:
        """The settings as plain values, by section."""
        loaded: dict[str, Any] = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
        return loaded
