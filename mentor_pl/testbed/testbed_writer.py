"""What writing a testbed has in common, whatever its task: a folder, files of problems, models that are made once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder
from mentor_pl.runtime.ranges import check, check_seed
from mentor_pl.testbed.folder import FolderWriter, ProblemRow, TrainingProgress
from mentor_pl.testbed.model_maker import ModelMaker, Progress


class TestbedWriter(ExitStack):
    """A folder that is being written to, and what makes the models that go there.

    Args:
        task: its name, of which each model keeps a record.
        models: makes them, from the seed, the scale and what is called after every step of training.
        out: the folder to write to; made if missing.
        seed: of weights and demonstrations.
        scale: multiplies the steps of training.
        traces: how many problems to train on have a trace.

    Raises:
        UsageError: a number out of its range, or `out` cannot be written to.
    """

    def __init__(
        self,
        task: str,
        models: Callable[[int, float, Progress], ModelMaker],
        out: str | Path,
        seed: int,
        scale: float,
        traces: int,
    ) -> None:
        super().__init__()
        check("--scale", scale, above=0, at_most=100, because="1 trains the full number of steps, 0.1 a tenth of them")
        check_seed("--seed", seed)
        check("--traces", traces, at_least=0, because="it counts problems that have one")
        check_folder("--out", Path(out))
        console = Console(stderr=True)
        self.writer = FolderWriter(Path(out), console)
        self._task, self._seed, self._scale = task, seed, scale
        self.models = models(seed, scale, self.enter_context(TrainingProgress(console)).step)
        self.enter_context(torch.random.fork_rng())

    def write_problems(self, name: str, rows: Sequence[ProblemRow], traces: Iterable[ProblemRow] = ()) -> None:
        """A file of problems, the first ones with a trace each."""
        traced = [{**row, **trace} for row, trace in zip(rows, traces, strict=False)]
        self.writer.problems(name, [*traced, *rows[len(traced) :]])

    def write_model(self, name: str, dials: Any) -> None:
        """A model that is trained from nothing, where the folder does not hold it."""
        made_of = {"task": self._task, **asdict(dials), "seed": self._seed, "scale": self._scale}
        models = self.maker(dials)
        self.writer.model(name, made_of, lambda: models.make(dials), models.tokenizer)

    def maker(self, dials: Any) -> ModelMaker:
        """What makes the model of these dials."""
        return self.models

    def write_pair(self, policy: Any, expert: Any, finished: Path, train: bool) -> None:
        """Base and expert: a copy of the finished one, unless a dial is turned or both are made anew."""
        if self._scale != 1 and not train and policy == type(policy)() and expert == type(expert)():
            raise UsageError(
                f"--scale is {self._scale:g}, but nothing is trained: both models have their default dials, and are "
                "copied: give --train true, or leave it out"
            )
        for name, dials in (("policy", policy), ("expert", expert)):
            if train or dials != type(dials)():
                self.write_model(name, dials)
            else:
                self.writer.finished(name, finished / name)
