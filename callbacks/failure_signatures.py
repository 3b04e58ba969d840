"""Says in words, once each, what a run's metrics show to be going wrong: the number, the limit, and what to change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info

from callbacks.entropy_logging import EntropyLogging
from mentor_pl.experiments.diagnosis.diagnosis import diagnose
from mentor_pl.experiments.diagnosis.limits import ALPHA, ENTROPY, WATCHED, Limits
from mentor_pl.experiments.metrics_file import Series, read_metrics
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.collect import Learner

_log = logging.getLogger(__name__)


class FailureSignatures(Callback):
    """Warns, as soon as they show, of entropy that falls faster than an on-policy baseline's, responses that grow while
    accuracy does not, a pass@k that declines, a run unstable once α is near 0, accuracy that slides, and of steps in
    which nothing is right, has signal, has the format, ends, is guided, is not guided, or is graded.

    It looks at what `MentorModule`, `EntropyLogging` and `BenchmarkValidation` measure, whatever logger there is.

    Args:
        baseline: run folder of on-policy RL on the same problems, or its `metrics.csv`. Without one entropy is not
            compared, which is said at the start.
        limits: from where on each sign is said.

    Raises:
        UsageError: before weights are loaded, for a baseline without metrics or without entropy.
    """

    def __init__(self, baseline: str | None = None, limits: Limits = Limits()) -> None:  # noqa: B008 (frozen)
        self.baseline, self.limits = baseline, limits
        self.said: dict[str, str] = {}  # sign -> its words
        self._seen: dict[str, Series] = {}
        self._theirs: dict[str, Series] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if self.baseline is None:
            return
        path = Path(self.baseline).expanduser()
        self._theirs = read_metrics([path.parent if path.name == "metrics.csv" else path])
        if ENTROPY not in self._theirs:
            raise UsageError(
                f"FailureSignatures baseline {self.baseline} has no {ENTROPY}: give a run of on-policy RL with "
                "callbacks.EntropyLogging"
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        without = {
            "entropy beside on-policy RL's (give its run as baseline)": self._theirs is not None,
            "rollouts (add callbacks.EntropyLogging)": any(isinstance(one, EntropyLogging) for one in callbacks),
            "accuracy and pass@k (add callbacks.BenchmarkValidation)": any(hasattr(o, "benchmarks") for o in callbacks),
        }
        missing = [what for what, there in without.items() if not there]
        if missing:
            rank_zero_info(f"FailureSignatures does not watch {', '.join(missing)}")

    def on_metrics(self, trainer: Trainer, metrics: Mapping[str, float], step: int) -> None:
        """Keep what is watched, and say what is new; the metrics are over all ranks, so each finds the same."""
        guided = cast(Learner, trainer.lightning_module).algorithm.uses_alpha
        for name, value in metrics.items():
            if name.startswith("val/") or (name in WATCHED and (guided or name != ALPHA)):
                self._seen.setdefault(name, {})[step] = float(value)
        for sign, words in diagnose(self._seen, self.limits, self._theirs).items():
            if sign not in self.said:
                self.said[sign] = f"step {step}: {words}"
                if trainer.is_global_zero:
                    _log.warning("%s", self.said[sign])

    def state_dict(self) -> dict[str, Any]:
        return {"said": dict(self.said), "seen": {name: dict(series) for name, series in self._seen.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.said, self._seen = dict(state_dict["said"]), {n: dict(s) for n, s in state_dict["seen"].items()}
