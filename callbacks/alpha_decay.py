"""Moves α, the weight of what the expert teaches, along a schedule: by default the method's own.

Where the schedule says that α stays 0 from here on, an expert that the method no longer asks is freed.
"""

from __future__ import annotations

from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from mentor_pl.algorithms.parts.schedules import AlphaSchedule
from mentor_pl.training.collect import Learner
from mentor_pl.types import Rollouts


class AlphaDecay(Callback):
    """Sets the module's `alpha` for the rollouts of each step.

    Args:
        schedule: step -> α; a step is a batch of rollouts, counted from 0. By default the method's own.
    """

    def __init__(self, schedule: AlphaSchedule | None = None) -> None:
        self.schedule = schedule
        self.step = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._move(cast(Learner, pl_module))

    def _move(self, learner: Learner) -> None:
        schedule = self.schedule or learner.algorithm.schedule
        learner.alpha = schedule(self.step)
        if schedule.ended(self.step):
            learner.guidance_ends()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        # here and not at a batch's start: the next rollouts are sampled before that hook runs
        self.step = batch.step + 1
        self._move(cast(Learner, pl_module))

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step = int(state_dict["step"])
