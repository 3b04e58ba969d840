"""What a run says of its steps: lines, where no progress bar can be; on a terminal, how far a step has come."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning.pytorch as L
import torch
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.runtime.activity import Activity, activity
from mentor_pl.runtime.collectives import all_sum
from mentor_pl.runtime.printable import printable
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Rollouts

_SHOWN = 300  # characters of a response
_RECENT = 20  # steps whose mean tells how long the others will take
_REFRESH = 0.1  # seconds, of a bar


class ProgressLines(L.Callback):
    """Off a terminal one line at the first step, at the last, and every few seconds between, also within a step; on one
    a bar for the rollouts of a step below that of the run. A step in which nothing earned anything is told of as such.

    It is silent where the Trainer's progress bar is switched off.

    Args:
        every_seconds: between two lines.
    """

    def __init__(self, every_seconds: float = 10.0) -> None:
        check("ProgressLines every_seconds", every_seconds, at_least=0)
        self.every_seconds = every_seconds
        self.told = self.step_began = 0.0
        self.seconds: list[float] = []  # of the last steps
        self.nothing = False  # whether nothing earned anything in the step before
        self.task: Any = None  # of the terminal's bar

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if trainer.progress_bar_callback is not None and not sys.stderr.isatty():
            trainer.progress_bar_callback.disable()  # its last state would be told again behind the summary

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.told = self.step_began = time.monotonic()
        if trainer.progress_bar_callback is None or not trainer.is_global_zero:
            return
        if sys.stderr.isatty():
            activity.listener = lambda now: self._move_bar(trainer, now)
        else:
            activity.listener = lambda now: self._within_step(trainer, pl_module, now)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(batch, Rollouts):
            return
        graded, mask = batch.graded, batch.mask
        lowest = trainer.datamodule.reward.range[0]  # type: ignore[attr-defined]
        earned, parts = batch.rewards > lowest, {name: part > 0 for name, part in batch.reward_parts.items()}
        sums = [len(batch), graded.sum(), batch.rewards[graded].sum(), batch.entropies[mask].sum(), mask.sum()]
        sums += [earned.sum(), *(part.sum() for part in parts.values())]
        device = batch.rewards.device
        rollouts, known, reward, entropy, tokens, above, *met = all_sum(
            torch.stack([torch.as_tensor(value, dtype=torch.float64, device=device) for value in sums])
        ).tolist()
        now = time.monotonic()
        self.seconds = [*self.seconds[1 - _RECENT :], now - self.step_began]
        self.step_began = now
        if trainer.progress_bar_callback is None:
            return
        if not above and known and not self.nothing:
            self._nothing_earned(batch, dict(zip(parts, met, strict=True)), rollouts, lowest)
        self.nothing = not above
        done, steps = batch.step + 1, int(trainer.num_training_batches)
        due = len(self.seconds) == 1 or done == steps or now - self.told >= self.every_seconds
        if sys.stderr.isatty() or not due:
            return
        self.told = now
        mean, sampling = sum(self.seconds) / len(self.seconds), batch.seconds.get("sampling", 0.0)
        speed, left = tokens / max(sampling, 1e-9), mean * (steps - done)
        rank_zero_info(
            f"step {done} of {steps}: reward {reward / max(1, known):.3f}, entropy {entropy / max(1, tokens):.3f}, "
            f"length {tokens / max(1, rollouts):.1f}, {speed:,.0f} tokens/s sampled, {_time(mean)} a step"
            + (f", about {_time(left)} left" if done < steps else "")
        )

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        activity.listener = None

    def _within_step(self, trainer: L.Trainer, module: L.LightningModule, now: Activity) -> None:
        clock = time.monotonic()
        if clock - max(self.told, self.step_began) < self.every_seconds:
            return
        self.told = clock
        spent = max(clock - self.step_began, 1e-9)
        rank_zero_info(
            f"step {module.steps_done + 1} of {int(trainer.num_training_batches)}: {now.ended} of {now.rollouts} "  # type: ignore[operator]
            f"rollouts of round {now.round} have ended, {now.tokens:,} tokens in {_time(spent)}, "
            f"{now.tokens / spent:,.0f} tokens/s"
        )

    def _move_bar(self, trainer: L.Trainer, now: Activity) -> None:
        bar = trainer.progress_bar_callback
        if not isinstance(bar, RichProgressBar) or bar.progress is None:
            return
        if self.task is None or self.task not in bar.progress.task_ids:
            self.task = bar.progress.add_task("rollouts", total=now.rollouts)
        bar.progress.update(self.task, total=now.rollouts, completed=now.ended, description=f"round {now.round}")
        clock = time.monotonic()
        if clock - self.told >= min(_REFRESH, self.every_seconds):
            self.told = clock
            bar.refresh()

    def _nothing_earned(self, batch: Rollouts, met: dict[str, float], rollouts: float, lowest: float) -> None:
        parts = f"; above 0 is {', '.join(f'{name} of {n:.0f}' for name, n in met.items())}" if met else ""
        text = printable(batch.texts[0] if batch.texts else "", keep=" ")
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]} … ({len(text):,} characters)"
        rank_zero_info(
            f"step {batch.step + 1}: every reward is {lowest:g}, of {rollouts:.0f} rollouts{parts}. The "
            f'first response: "{shown}"'
        )


def _time(seconds: float) -> str:
    """Such as 0.4 s, 38 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
