"""What MENTOR costs beside on-policy RL, part by part: measured here, and modelled at the paper's shapes.

    python scripts/bench/overhead.py [--device cuda] [--page docs/results/overhead.md] [--json FILE] [--check]

Measured: `mentor fit` on the quick start, and with models made to measure; both sides' processes in turn, each with one
thread, and a figure is the median over rounds. Quote processor seconds, and ratios of one round: the machine may do
other things beside. Modelled: `cost_model.py` for the configurations in `shapes/` on eight A100-80GB; memory as
`mentor doctor` estimates it. With `--page` the tables between the page's marks are written anew, and beside the page
its figure and all numbers as JSON.
Takes 8 minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # the models are made here; nothing is looked up

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch
from cost_model import Device
from overhead_report import (
    MENTOR,
    PLAIN,
    Runs,
    draw,
    measured_table,
    modelled,
    modelled_table,
    models_table,
    parts_of,
    per_token,
    ratio,
    records,
    sensitivity_table,
)
from overhead_sides import SIDES, Case, Measured, Sizes, made, quick_start, steps
from process import alone
from report import Figure, add_report_options, filled, finish, machine
from rich.progress import Progress
from shapes import setting_of

BARS = {"quick start": 2.5, "made to measure": 1.6}  # on a CPU: MENTOR ÷ on-policy RL, processor seconds of a step
SHOWN = "qwen2.5-7b"


def main() -> int:
    """Measure, model, tabulate; the exit status is 1 where `--check` finds a ratio above its bar."""
    options = parse()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # of the processes to come
    with tempfile.TemporaryDirectory() as name:
        os.environ["MENTOR_CACHE"] = f"{name}/cache"  # where the first of them keeps what forwards cost
        folder = Path(name)
        cases = [quick_start(folder / "testbed"), made(folder / "made", Sizes.on(options.device))]
        with Progress(transient=True) as progress:
            runs = {case.name: measure(case, options, progress) for case in cases}
    settings = machine(options.device) | {"threads": options.threads, "rounds": options.rounds}
    if options.page:
        write(options.page, runs, settings)
    figures = [figure for case, some in runs.items() for figure in figures_of(case, some, options.device)]
    notes = [f"{options.warmup} steps of warm-up, then {options.steps}; α = 1: every step of MENTOR is guided"]
    return finish("MENTOR beside on-policy RL", figures, settings, options, notes)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables of this page, and its figure")
    for name, value, text in (
        ("rounds", 5, "processes of each side"),
        ("steps", 4, "timed steps of a process"),
        ("warmup", 1, "steps before them"),
        ("threads", 1, "of a process"),
    ):
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{text} (default {value})")
    add_report_options(parser)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device is cuda, but torch sees no GPU here: give cpu")
    if min(options.rounds, options.steps) < 1:
        parser.error(f"--rounds {options.rounds} --steps {options.steps}: give 1 of each at least")
    return options


def measure(case: Case, options: argparse.Namespace, progress: Progress) -> Runs:
    """Rounds of both sides in turn."""
    task = progress.add_task(case.name, total=options.rounds * len(SIDES))
    runs: dict[str, list[Measured]] = {side: [] for side in SIDES}
    for _ in range(options.rounds):
        for side in SIDES:
            runs[side].append(alone(steps, case, side, options.warmup, options.steps, options.device))
            progress.advance(task)
    return runs


def figures_of(case: str, runs: Runs, device: str) -> list[Figure]:
    """Ratios of a case, and what decoding did beside what the cost model says of it."""
    middle, low, high = ratio(runs)
    bar = None if device.startswith("cuda") else BARS[case]
    decode = {name: median(run.decode[name] for run in runs[MENTOR]) for name in runs[MENTOR][0].decode}
    held = {side: median(run.memory for run in some) for side, some in runs.items()}
    lost = f"by the cost model {decode['lost, modelled']:.3f}, at {decode['look-ahead']:.0f} draft steps per call"
    asked = f"mean w {decode['mean w']:.3f}, replaced {decode['replaced']:.3f} per token"
    return [
        Figure(
            f"{case}: step, MENTOR ÷ {PLAIN}", middle, "", bar, "at most", f"rounds {low:.2f} to {high:.2f}; {asked}"
        ),
        Figure(f"{case}: the same per response token", per_token(runs)),
        Figure(f"{case}: peak memory, MENTOR ÷ {PLAIN}", held[MENTOR] / held[PLAIN] if held[PLAIN] else None),
        Figure(f"{case}: read by the expert per token", decode["expert_tokens"]),
        Figure(f"{case}: drafts lost per token", decode["rolled_back"], detail=lost),
    ]


def write(page: Path, runs: dict[str, Runs], settings: dict[str, Any]) -> None:
    """The page's tables, its figure, and all numbers as JSON, beside it under its name."""
    setting, device = setting_of(SHOWN), Device()
    lines, plain = models_table(device)
    costs = modelled(SHOWN, setting, device)
    ratios = [
        f"- {figure.name}: **{figure.shown}**" + (f" ({figure.detail})" if figure.detail else "")
        for case, some in runs.items()
        for figure in figures_of(case, some, "cuda")
    ]
    blocks = {
        "machine": ", ".join(f"{name} {value}" for name, value in settings.items()) + ".\n",
        "ratios": "\n".join(ratios) + "\n",
        **{case: measured_table(some) for case, some in runs.items()},
        "modelled": modelled_table(costs, setting),
        "models": lines,
        "sensitivity": sensitivity_table(SHOWN, setting, device),
    }
    page.write_text(filled(page.read_text(encoding="utf-8"), blocks), encoding="utf-8")
    bars = {
        f"{case}, measured": {side: parts_of(rounds, "processor") for side, rounds in some.items()}
        for case, some in runs.items()
    }
    bars[f"{SHOWN}, modelled"] = {side: dict(costs[side].seconds) for side in SIDES}
    draw(page.with_suffix(".png"), bars)
    numbers = records(runs, settings=settings, setting=asdict(setting), modelled=plain)
    page.with_suffix(".json").write_text(numbers, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
