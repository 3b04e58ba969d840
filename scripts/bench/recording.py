"""What a record of every rollout costs: time of a step, and bytes on disk per 1,000 response tokens.

    python scripts/bench/recording.py [--rounds 5] [--steps 8] [--json FILE] [--check]

The quick start with a record, and with one that has the likeliest tokens at guided places, in turn, in one process with
one thread. What records take of a step is measured within it, so that whatever else the machine does weighs on both
alike: the callback, and where the decoder keeps tokens for it. Ratios are of processor seconds and hold for tokens that
a tiny model makes: of a larger one a token costs more, and its record the same. Takes a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # the models are made here; nothing is looked up

import lightning.pytorch as L
import torch
from overhead_sides import CONFIGS, Case, quick_start
from report import Figure, add_report_options, finish, machine
from rich.progress import Progress

from callbacks import RolloutRecord
from mentor_pl.cli.main import main
from mentor_pl.decoding.engine.likeliest import Likeliest
from mentor_pl.records.reading import place_of, read_step, steps_of
from mentor_pl.types import Rollouts

SIDES: dict[str, dict[str, Any]] = {
    "record": {"alternatives": 0},
    "record with alternatives": {"alternatives": 5},
}
BARS = {"record": 1.03, "record with alternatives": 1.10}


class Own:
    """Processor seconds that records have taken."""

    seconds = 0.0

    @classmethod
    def watch(cls, owner: type, name: str) -> None:
        """Count the calls of a method."""
        method = getattr(owner, name)

        @wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                cls.seconds += time.process_time() - began

        setattr(owner, name, timed)


class Clock(L.Callback):
    """The processor seconds of each step, those of records included, over what it takes without them."""

    ratios: list[float]  # of the process; a callback that YAML names has no other way to it

    def on_train_start(self, trainer: Any, module: Any) -> None:
        Clock.ratios = []
        self.last, Own.seconds = time.process_time(), 0.0

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Rollouts, index: int) -> None:
        now = time.process_time()
        step, self.last = now - self.last, now
        Clock.ratios.append(step / (step - Own.seconds))
        Own.seconds = 0.0


def fit(case: Case, record: Mapping[str, Any], steps: int, folder: Path) -> list[float]:
    """The ratio of each of `steps` steps.

    Raises:
        RuntimeError: where the run fails.
    """
    callbacks: list[dict[str, Any]] = [
        {"class_path": "callbacks.RolloutRecord", "init_args": dict(record)},
        {"class_path": f"{__name__}.Clock"},
    ]
    options = {
        "trainer.accelerator": "cpu",
        "trainer.logger": False,
        "trainer.default_root_dir": str(folder),
        "trainer.enable_checkpointing": False,
        "trainer.enable_progress_bar": False,
        "trainer.callbacks": callbacks,
        "data.steps": steps,
        **case.options,
    }
    words = ["--config", str(CONFIGS / "quickstart.yaml")]
    words += [f"--{key}={one if isinstance(one, str) else json.dumps(one)}" for key, one in options.items()]
    if status := main(["fit", *words]):
        raise RuntimeError(f"mentor fit ends with status {status}: mentor fit {' '.join(words)}")
    return Clock.ratios


def size(folder: Path) -> tuple[float, float]:
    """Bytes per 1,000 response tokens of the records in a folder, and the share of guided tokens."""
    steps = steps_of(folder)
    tables = [read_step(folder, step) for step in steps]
    tokens = sum(sum(table["length"].to_pylist()) for table in tables)
    guided = sum(sum(map(sum, table["guided"].to_pylist())) for table in tables)
    return 1000 * sum(place_of(folder, step).stat().st_size for step in steps) / tokens, guided / tokens


def compare(options: argparse.Namespace) -> list[Figure]:
    """Rounds of all sides in turn."""
    ratios: dict[str, list[float]] = {side: [] for side in BARS}
    with tempfile.TemporaryDirectory() as name, Progress(transient=True) as progress:
        os.environ["MENTOR_CACHE"] = f"{name}/cache"
        folder = Path(name)
        case = quick_start(folder)
        task = progress.add_task("quick start", total=options.rounds * len(SIDES))
        sizes = {}
        for _ in range(options.rounds):
            for place, (side, record) in enumerate(SIDES.items()):
                here = folder / f"side{place}"
                shutil.rmtree(here, ignore_errors=True)
                ratios[side].append(median(fit(case, record, options.steps, here)[1:]))  # the first warms up
                sizes[side] = size(here)
                progress.advance(task)
    figures = []
    for side, some in ratios.items():
        said, (held, guided) = f"rounds {min(some):.3f} to {max(some):.3f}", sizes[side]
        figures.append(Figure(f"{side}: step ÷ step without", median(some), "", BARS[side], "at most", said))
        detail = f"{guided:.1%} of the tokens guided"
        figures.append(Figure(f"{side}: per 1,000 tokens", held / 1024, "KiB", detail=detail))
    return figures


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each side (default 5)")
    parser.add_argument("--steps", type=int, default=8, metavar="N", help="of a run, the first not counted (default 8)")
    add_report_options(parser)
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 2:
        parser.error(f"--rounds {options.rounds} --steps {options.steps}: give 1 round and 2 steps at least")
    return options


if __name__ == "__main__":
    torch.set_num_threads(1)
    for owner, name in (
        (RolloutRecord, "on_train_batch_start"),
        (RolloutRecord, "on_train_batch_end"),
        (Likeliest, "add"),
        (Likeliest, "of"),
    ):
        Own.watch(owner, name)
    given = parse()
    settings = machine() | {"rounds": given.rounds, "steps": given.steps}
    notes = ["medians over rounds of the median over steps; every step of MENTOR is guided"]
    sys.exit(finish("a record of every rollout", compare(given), settings, given, notes))
