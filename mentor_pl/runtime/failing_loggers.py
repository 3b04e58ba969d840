"""Loggers that fail without ending a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from lightning.fabric.loggers.logger import _DummyExperiment
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_warn

_CALLED_IN_A_RUN = ("log_metrics", "log_hyperparams", "log_graph", "log_table", "log_text", "save", "finalize")


def forgive(loggers: Iterable[Logger]) -> None:
    """Have loggers that raise named once, each, and passed over, so that the run goes on; before they are asked for
    their experiments."""
    for logger in loggers:
        named = _named(logger)
        _forgive_experiment(logger, named)
        for name in _CALLED_IN_A_RUN:
            method = getattr(logger, name, None)
            if callable(method) and not hasattr(method, "forgiving"):
                setattr(logger, name, _forgiving(type(logger).__name__, name, method, named))


def attempt(logger: Logger, what: str, do: Callable[[], Any]) -> None:
    """Do with a logger what none of its own methods does; where that raises, it is named and passed over likewise.

    Args:
        what: it is, for the warning.
    """
    _forgiving(type(logger).__name__, what, do, _named(logger))()


def _named(logger: Logger) -> list[str]:
    """In what a logger has failed: one list for all that is done with it."""
    found: list[str] = vars(logger).setdefault("_failed_in", [])
    return found


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
