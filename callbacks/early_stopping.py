"""Ends training when a metric no longer improves, looking at it whenever it is measured.

Lightning's own class looks at the end of an epoch or of a validation of Lightning's; here a run is one epoch, and a
callback measures. Rules and state are Lightning's; a run that was stopped stays so when it is resumed.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check


class EarlyStopping(lightning_callbacks.EarlyStopping):
    """Stops when `monitor` has not improved `patience` times in a row, or is no number.

    Args:
        monitor: a metric by its name in the logs: `val/<benchmark>/avg@8` at every measurement, or one of every step,
            such as `train/on_policy/reward`.
        mode: `max` where more is better, `min` where less is.
        patience: measurements without improvement, one after the other, that end training.
        min_delta: what counts as an improvement.
        stopping_threshold: ends training as soon as the metric is better than this.
        divergence_threshold: ends training as soon as the metric is worse than this.

    Raises:
        UsageError: for a value out of its range, and for a metric that is not there once those that it would have come
            with have been measured.
    """

    def __init__(
        self,
        monitor: str,
        mode: Literal["min", "max"],
        patience: int = 3,
        min_delta: float = 0.0,
        stopping_threshold: float | None = None,
        divergence_threshold: float | None = None,
    ) -> None:
        check("EarlyStopping patience", patience, at_least=1, because="it counts measurements")
        check("EarlyStopping min_delta", min_delta, at_least=0)
        check("EarlyStopping stopping_threshold", stopping_threshold)
        check("EarlyStopping divergence_threshold", divergence_threshold)
        super().__init__(
            monitor,
            min_delta=min_delta,
            patience=patience,
            mode=mode,
            stopping_threshold=stopping_threshold,
            divergence_threshold=divergence_threshold,
        )
        self._seen: set[str] = set()
        self._all_seen = False  # whether every metric has had its turn

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        self._all_seen = not any(hasattr(callback, "benchmarks") for callback in callbacks)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.wait_count >= self.patience:
            rank_zero_info(f"{self.monitor} had stopped improving before this run was resumed: it ends at once")
            trainer.should_stop = True

    def on_metrics(self, trainer: Trainer, metrics: Mapping[str, float], step: int) -> None:
        """Look at the metric where it is among these."""
        self._seen |= metrics.keys()
        measured = any(name.startswith("val/") for name in metrics)
        self._all_seen |= measured and step > 0
        if self.monitor in metrics:
            stop, reason = self._evaluate_stopping_criteria(torch.tensor(float(metrics[self.monitor])))
            if trainer.strategy.reduce_boolean_decision(stop, all=False):
                trainer.should_stop = True
                rank_zero_info(f"step {step}: {reason}")
        elif measured and self.monitor.startswith("val/"):
            self._check_seen()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        groups = {name.rpartition("/")[0] for name in self._seen}  # whose metrics come together
        if batch.step > 0 and (self._all_seen or self.monitor.rpartition("/")[0] in groups):
            self._check_seen()

    def _check_seen(self) -> None:
        if self._seen and self.monitor not in self._seen:
            known = sorted(self._seen)
            near = difflib.get_close_matches(self.monitor, known, n=4, cutoff=0.5) or known[:8]
            raise UsageError(
                f"EarlyStopping monitor is '{self.monitor}', but there is no such metric: give one such as "
                + ", ".join(near)
            )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Not here."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nor here."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict | {"patience": self.patience})  # settings come from the configuration
