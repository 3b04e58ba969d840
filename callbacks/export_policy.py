"""Writes the policy as an ordinary Hugging Face model folder when training ends."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from mentor_pl.models.loading import save_folder
from mentor_pl.runtime.folders import check_folder
from mentor_pl.training.checkpoints import run_folder
from mentor_pl.training.collect import Learner


class ExportPolicy(Callback):
    """Saves weights, configuration, stop tokens and tokenizer, whole also where the policy is sharded.

    Args:
        folder: where to; by default `policy` in the run's folder.

    Raises:
        UsageError: before weights are loaded, for a folder that cannot be written to.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        check_folder("ExportPolicy folder", self.folder)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        folder = Path(self.folder) if self.folder else run_folder(trainer) / "policy"
        models = cast(Learner, pl_module).models
        weights = get_model_state_dict(models.policy, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
        if trainer.is_global_zero:
            save_folder(models.policy, models.tokenizer, folder, weights, models.vocabulary.stop_ids)
