"""Metrics of one step, to every logger, at that step and at no other; and loggers that fail without ending a run.

`LightningModule.log` repeats a value at every later step until it is logged anew, which is wrong for what is measured
now and then (benchmarks) or ends (guidance).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Protocol, runtime_checkable

from lightning.fabric.loggers.logger import _DummyExperiment
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_warn

_CALLED_IN_A_RUN = ("log_metrics", "log_hyperparams", "log_graph", "log_table", "log_text", "save", "finalize")


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


def forgive(loggers: Iterable[Logger]) -> None:
    """Have loggers that raise named once, each, and passed over, so that the run goes on; before they are asked for
    their experiments."""
    for logger in loggers:
        named: list[str] = []  # of this logger: one for all its methods
        _forgive_experiment(logger, named)
        for name in _CALLED_IN_A_RUN:
            method = getattr(logger, name, None)
            if callable(method) and not hasattr(method, "forgiving"):
                setattr(logger, name, _forgiving(type(logger).__name__, name, method, named))


def _forgiving(logger: str, name: str, method: Callable[..., Any], named: list[str]) -> Callable[..., Any]:
    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception as error:  # a logger's own, of any kind: a disk, a network, a bug
            if not named:
                named.append(name)
                problem = " ".join(str(error).split()) or type(error).__name__
                rank_zero_warn(
                    f"logger {logger} failed in {name} ({problem}): the run goes on, and what this logger cannot take "
                    "is lost; further failures of it are not named"
                )
            return None

    call.forgiving = True  # type: ignore[attr-defined]
    return call


def _forgive_experiment(logger: Logger, named: list[str]) -> None:
    """Let a logger whose experiment cannot be begun, such as for want of a network, write to none from then on."""
    kind = type(logger)
    real = getattr(kind, "experiment", None)
    if not isinstance(real, property) or real.fget is None or hasattr(real.fget, "forgiving"):
        return
    begin = _forgiving(kind.__name__, "experiment", real.fget, named)

    def experiment(self: Logger) -> Any:
        found = None if "experiment" in named else begin(self)  # asked once: a server that is away lets one wait
        return _DummyExperiment() if found is None else found

    experiment.forgiving = True  # type: ignore[attr-defined]
    logger.__class__ = type(kind.__name__, (kind,), {"experiment": property(experiment)})
