"""Keeps the global random number generators in the checkpoint, one state per rank: a resumed run is bitwise equal.

Rollouts and data order need none of them (their noise is keyed); dropout and a user's own code may.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from mentor_pl.runtime.parallel import all_objects, rank


def _states() -> dict[str, Tensor]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


class ExactResume(Callback):
    """Saves torch's random number generators of every rank and restores them when training starts."""

    def __init__(self) -> None:
        self.restored: list[dict[str, Tensor]] | None = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["random_states"] = all_objects(_states())  # only rank 0 writes the file

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.restored = checkpoint.get("random_states")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # as late as can be: setting up models and loaders draws random numbers
        if self.restored is None or rank() >= len(self.restored):
            return
        states = self.restored[rank()]
        torch.set_rng_state(states["cpu"])
        if "cuda" in states and torch.cuda.is_available():
            torch.cuda.set_rng_state(states["cuda"])
