"""Seconds by part, wall and processor: what happens in a part within another counts for the inner one alone.

The parts of a training step are methods of this project, which a stopwatch wraps; nothing of theirs is changed. On a
GPU it waits for the device at both ends of a part, so that work counts for the part that has asked for it, and steps
take a little longer than without it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import torch

OTHER = "other"
# Parts of a step, in the order they are shown.
PARTS = (
    "policy decoding",
    "expert verification",
    "prefill",
    "grading",
    "scoring",
    "update: forward, loss",
    "update: backward",
    "update: optimizer",
    OTHER,
)
_ENGINE = {"drafting": "policy decoding", "verifying": "expert verification", "prefill": "prefill"}


class Seconds(NamedTuple):
    """By part."""

    wall: Mapping[str, float]
    processor: Mapping[str, float]


class Stopwatch:
    """Charges what passes to the innermost part that is open, `other` where none is.

    Args:
        device: whose work is waited for.
    """

    def __init__(self, device: str) -> None:
        self.on_gpu = device.startswith("cuda")
        self.open = [OTHER]
        self.wall, self.processor = Counter[str](), Counter[str]()
        self.last = self._now()

    def _now(self) -> tuple[float, float]:
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter(), time.process_time()

    def _lap(self) -> None:
        last, self.last = self.last, self._now()
        for sums, before, after in zip((self.wall, self.processor), last, self.last, strict=True):
            sums[self.open[-1]] += after - before

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What passes inside is of this part."""
        self._lap()
        self.open.append(name)
        try:
            yield
        finally:
            self._lap()
            self.open.pop()

    def take(self) -> Seconds:
        """What has passed since the last call, by part."""
        self._lap()
        taken = Seconds(dict(self.wall), dict(self.processor))
        self.wall.clear(), self.processor.clear()
        return taken

    def watch(self, owner: Any, name: str, part: str) -> None:
        """From now on calls of the function `name` of a class or module are of the part."""
        function = getattr(owner, name)

        @wraps(function)
        def watched(*arguments: Any, **named: Any) -> Any:
            with self.part(part):
                return function(*arguments, **named)

        setattr(owner, name, watched)

    def watch_training(self) -> None:
        """Parts of the steps of `mentor fit`."""
        from mentor_pl.decoding.engine.stats import DecodeStats
        from mentor_pl.training import collect
        from mentor_pl.training.finite_steps import FiniteSteps
        from mentor_pl.training.module import MentorModule
        from mentor_pl.training.rounds import Round
        from mentor_pl.training.update import Update

        timed = DecodeStats.timed

        @contextmanager
        def watched(stats: DecodeStats, part: str) -> Iterator[None]:
            with self.part(_ENGINE[part]), timed(stats, part):
                yield

        DecodeStats.timed = watched  # type: ignore[method-assign]
        for owner, name, part in (
            (Round, "_end", "grading"),
            (Round, "grades", "grading"),
            (collect, "scored", "scoring"),
            (Update, "accumulate_gradients", "update: forward, loss"),
            (MentorModule, "manual_backward", "update: backward"),
            (FiniteSteps, "__call__", "update: optimizer"),
        ):
            self.watch(owner, name, part)
