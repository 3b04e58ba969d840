"""A run's settings, kept: as config.yaml in the run's folder, and in every checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback


class RunConfig(SaveConfigCallback):
    """Saves the merged settings; config.yaml runs again. A run without a logger has no folder, so it gets no file."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        folder = trainer.log_dir  # which ranks agree on
        if not (trainer.loggers and folder and trainer.is_global_zero):
            return
        unfinished = Path(folder) / ".config.yaml.part"
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(self._text(), encoding="utf-8")
        unfinished.replace(Path(folder) / "config.yaml")

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["settings"] = self.settings()

    def settings(self) -> dict[str, Any]:
        """The settings as plain values, by section."""
        loaded: dict[str, Any] = yaml.safe_load(self._text())
        return loaded

    def _text(self) -> str:
        return str(self.parser.dump(self.config, skip_none=False))
