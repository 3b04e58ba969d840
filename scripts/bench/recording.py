"""What a record of every rollout costs: time of a step, and bytes on disk per 1,000 response tokens.

    python scripts/bench/recording.py [--rounds 7] [--steps 12] [--json FILE] [--check]

The quick start without a record, with one, and with one that has the likeliest tokens at guided places, in turn, in one
process with one thread. All three train the same run bit for bit, so step t of one is compared with step t of another.
Ratios are of processor seconds and hold for tokens that a tiny model makes: of a larger one a token costs more, and its
record the same. Takes two minutes.
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
from pathlib import Path
from statistics import median
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # the models are made here; nothing is looked up

import lightning.pytorch as L
import torch
from overhead_sides import CONFIGS, Case, quick_start
from report import Figure, add_report_options, finish, machine
from rich.progress import Progress

from mentor_pl.cli.main import main
from mentor_pl.records.reading import place_of, read_step, steps_of
from mentor_pl.types import Rollouts

SIDES: dict[str, dict[str, Any] | None] = {
    "no record": None,
    "record": {"alternatives": 0},
    "record with alternatives": {"alternatives": 5},
}
BARS = {"record": 1.03, "record with alternatives": 1.10}


class Clock(L.Callback):
    """Processor seconds of each step, all callbacks before it included."""

    seconds: list[float]  # of the process; a callback that YAML names has no other way to it

    def on_train_start(self, trainer: Any, module: Any) -> None:
        Clock.seconds = []
        self.last = time.process_time()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Rollouts, index: int) -> None:
        now = time.process_time()
        Clock.seconds.append(now - self.last)
        self.last = now


def fit(case: Case, record: Mapping[str, Any] | None, steps: int, folder: Path) -> list[float]:
    """Processor seconds of each of `steps` steps.

    Raises:
        RuntimeError: where the run fails.
    """
    callbacks: list[dict[str, Any]] = [{"class_path": f"{__name__}.Clock"}]
    if record is not None:
        callbacks.insert(0, {"class_path": "callbacks.RolloutRecord", "init_args": dict(record)})
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
    return Clock.seconds


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
            seconds = {}
            for place, (side, record) in enumerate(SIDES.items()):
                here = folder / f"side{place}"
                shutil.rmtree(here, ignore_errors=True)
                seconds[side] = fit(case, record, options.steps, here)[1:]  # the first warms up
                if record is not None:
                    sizes[side] = size(here)
                progress.advance(task)
            for side in BARS:
                pairs = zip(seconds[side], seconds["no record"], strict=True)
                ratios[side].append(median(one / other for one, other in pairs))
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
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="runs of each side (default 7)")
    parser.add_argument(
        "--steps", type=int, default=12, metavar="N", help="of a run, the first not counted (default 12)"
    )
    add_report_options(parser)
    options = parser.parse_args()
    if options.rounds < 1 or options.steps < 2:
        parser.error(f"--rounds {options.rounds} --steps {options.steps}: give 1 round and 2 steps at least")
    return options


if __name__ == "__main__":
    torch.set_num_threads(1)
    given = parse()
    settings = machine() | {"rounds": given.rounds, "steps": given.steps}
    notes = ["medians over rounds of the median over steps; every step of MENTOR is guided"]
    sys.exit(finish("a record of every rollout", compare(given), settings, given, notes))
