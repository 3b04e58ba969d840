"""What a replay looks at while it trains: the weights around each update, and what another method would do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import lightning.pytorch as L
import torch
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.cli.replay.gradients import Gradients, as_seen_by, cosines, gradients
from mentor_pl.decoding.sampler import decoding
from mentor_pl.models.fingerprint import fingerprint
from mentor_pl.records.damaged import PassOver
from mentor_pl.records.reading import read_step, steps_of
from mentor_pl.runtime.checkpoint_files import SafeCheckpointIO
from mentor_pl.training.adapted_state import leave_out_frozen
from mentor_pl.training.module import MentorModule
from mentor_pl.types import Rollouts


class ReplayWatch(L.Callback):
    """Ends the replay behind its step, and keeps what it came to.

    Args:
        run: the run's folder.
        step: the step that is replayed.
        after: the run's checkpoint behind it, where there is one.
        other: a method to compare with the run's, on the step's rollouts.

    Attributes:
        strayed: the first step whose rollouts other weights had sampled than the replay has; none where there is none.
        passed_over: the record behind the step, where it is damaged.
        verdicts: in words, with whether it is so, what the weights behind the step were compared with.
        metrics: of the step's update.
        sides: what the run's method and the other make of the step.
        cosines: of their gradients, by mini-batch, and of all.
        speaks: whether this process is the one that prints.
    """

    def __init__(self, run: Path, step: int, after: Path | None, other: Algorithm | None) -> None:
        self.run, self.step, self.after, self.other = run, step, after, other
        self.strayed: int | None = None
        self.passed_over = PassOver()
        self.verdicts: dict[str, bool] = {}
        self.metrics: dict[str, float] = {}
        self.sides: list[Gradients] = []
        self.cosines: tuple[list[float], float] = ([], float("nan"))
        self.speaks = False

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        module = cast(MentorModule, pl_module)
        self.speaks = trainer.is_global_zero
        module.alpha = module.alpha  # the rollouts have their own, and nobody is to be told that none is set

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Rollouts, batch_idx: int
    ) -> None:
        module, step = cast(MentorModule, pl_module), batch.step + 1
        if self.strayed is None and self._weights(module) != read_step(self.run, step)["weights"][0].as_py():
            self.strayed = step
        if step == self.step and self.other is not None:
            with module.models.expert_in_use():
                seen = as_seen_by(module, self.other, batch)
                self.sides = [gradients(module, module.algorithm, batch), gradients(module, self.other, seen)]
            self.cosines = cosines(*self.sides)

    def on_metrics(self, trainer: L.Trainer, metrics: Mapping[str, float], step: int) -> None:
        """Keep those of the step."""
        if step == self.step:
            self.metrics |= metrics

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Rollouts, batch_idx: int
    ) -> None:
        if batch.step + 1 < self.step:
            return
        trainer.should_stop = True
        module = cast(MentorModule, pl_module)
        if self.after is not None:
            same = _same(module, self.after)
            self.verdicts[f"those of {self.after.name}"] = same
        if self.step + 1 in steps_of(self.run):
            ours = self._weights(module)
            following = self.passed_over(lambda: read_step(self.run, self.step + 1), None)
            if following is not None and len(following):
                self.verdicts[f"those that sampled step {self.step + 1}"] = ours == following["weights"][0].as_py()

    def _weights(self, module: MentorModule) -> str:
        with decoding(module.policy):
            return fingerprint(module.policy)


def _same(module: MentorModule, path: Path) -> bool:
    """Whether the policy is a checkpoint's bit for bit; known on rank 0."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    whole = cast(dict[str, torch.Tensor], get_model_state_dict(module.policy, options=options))
    if not module.trainer.is_global_zero:
        return True
    saved: dict[str, Any] = {"mentor": {}, "state_dict": {f"policy.{name}": value for name, value in whole.items()}}
    leave_out_frozen(module.policy, saved)
    ours, theirs = saved["state_dict"], SafeCheckpointIO().load_checkpoint(path)["state_dict"]
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name].cpu(), theirs[name].cpu()) for name in ours)
