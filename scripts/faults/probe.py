"""A callback that strikes its own run at a moment named in the environment: `STRIKE=moment:count:action`.

Moments: loading, sampling, grading, updating, validating, writing, placing, metrics. The action is a signal by name, or
several with `+`, or `delete`, `fill`, `readonly` on the run's folder. The time of the strike is written to `struck`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as L

import mentor_pl.runtime.checkpoint_files as checkpoint_files
import mentor_pl.runtime.sharded_saving as sharded_saving
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.evaluation.answering import Responses
from mentor_pl.runtime.metrics_writer import MetricsWriter
from mentor_pl.training.checkpoints import folder_of
from mentor_pl.training.rounds import Round


class Probe(L.Callback):
    """Strikes at the count-th time that the moment comes in this process; on rank 0."""

    def __init__(self) -> None:
        self.moment, count, self.action = os.environ.get("STRIKE", "::").split(":")
        self.left = int(count or 0)
        self.folder = Path(".")
        if not self.left or os.environ.get("LOCAL_RANK", "0") != "0":
            return
        before(Engine, "_draft", self.at("sampling"))
        before(Round, "_end", self.at("grading"))
        before(Responses, "end", self.at("validating"))
        for owner in (checkpoint_files, sharded_saving):  # of a file, and of a folder with files of each rank
            before(owner, "place", self.at("placing"))
        before(MetricsWriter, "_replace", self.at("metrics"))
        before(checkpoint_files._Hashed, "write", self.at("writing"))  # every piece of a checkpoint

    def at(self, moment: str) -> Callable[[], None]:
        """What is called when `moment` comes."""

        def struck() -> None:
            if moment == self.moment:
                self.left -= 1
                if self.left == 0:
                    self.strike()

        return struck

    def strike(self) -> None:
        Path("struck").write_text(str(time.time()))
        if self.action == "delete":
            shutil.rmtree(self.folder)
        elif self.action == "fill":
            fill(self.folder)
        elif self.action == "readonly":
            subprocess.run(["mount", "-o", "remount,ro", str(Path("runs").resolve())], check=True)
        else:
            for name in self.action.split("+"):
                os.kill(os.getpid(), signal.Signals[name])

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.folder = folder_of(trainer).parent
        self.at("loading")()

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: Any) -> None:
        self.at("updating")()


def before(owner: Any, name: str, call: Callable[[], None]) -> None:
    """Call `call` before each call of `owner.name`."""
    whole = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call()
        return whole(*args, **kwargs)

    setattr(owner, name, wrapped)


def fill(folder: Path) -> None:
    """Leave no room on the disk of `folder`."""
    with (folder.parent / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            return
