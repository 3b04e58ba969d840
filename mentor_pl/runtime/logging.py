"""Metrics of one step, to every logger, at that step and at no other.

`LightningModule.log` repeats a value at every later step until it is logged anew, which is wrong for what is measured
now and then (benchmarks) or ends (guidance).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from lightning.pytorch import Trainer


@runtime_checkable
class MetricsWatcher(Protocol):
    """A callback that is told of metrics as they are measured, on every rank."""

    def on_metrics(self, trainer: Trainer, metrics: Mapping[str, float], step: int) -> None:
        """`metrics` were measured after `step` batches of rollouts."""


def log_once(trainer: Trainer, metrics: Mapping[str, float], step: int) -> None:
    """Log `metrics` after `step` batches of rollouts, keeping to the Trainer's `log_every_n_steps`.

    Metrics named `val/…` are logged whatever the interval, and callbacks that watch metrics are told of all.
    """
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, MetricsWatcher):
            callback.on_metrics(trainer, metrics, step)
    due = step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
    chosen = {name: value for name, value in metrics.items() if due or name.startswith("val/")}
    if not chosen:
        return
    for logger in trainer.loggers:
        logger.log_metrics(chosen, step=step)
        logger.save()
