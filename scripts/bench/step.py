"""A whole training step of ours beside TRL's GRPOTrainer, and what an update costs in memory beside full logits.

    python scripts/bench/step.py [--device cuda] [--check] [--json FILE]

Both sides train the same random policy (about 1 million parameters at the default sizes, made on the spot) on the same
problems: a batch of rollouts is sampled and graded, then come two optimizer updates. Equal on both sides: group size,
response length (no rollout ends early), float32, learning rate, clipping, gradient norm, a trivial reward; no KL, no
gradient checkpointing. Every measurement is a process of its own, ours and TRL's in turn, and a figure is the median
over rounds of the round's median step. Each side gets its fastest micro-batch size, of `--tokens` and `--trl-rows`.

Memory is the peak above what the process held before: resident memory, or what torch has allocated on the GPU.
Without TRL (`pip install -e '.[bench]'`) our own figures are printed. The default sizes take 6 minutes on two CPU cores
and 11 GiB, nearly all of it for the full logits.
"""

from __future__ import annotations

import argparse
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # the model is made here; nothing is looked up

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import torch
from model import make_model, make_problems
from process import alone
from report import Figure, add_report_options, finish, machine
from rich.progress import Progress
from step_memory import Cost, Update, chunked, plain
from step_sides import Measured, Work, ours, trls

MEMORY_BAR = 0.25
TRL_ROWS = [16, 32, 64]
MIB = 2**20


def main() -> int:
    """Measure and report; the exit status is 1 where `--check` finds a figure below its bar."""
    options = parse()
    try:
        trl = version("trl")
    except PackageNotFoundError:
        trl = None
    runs = 2 + options.rounds + len(options.tokens) + (options.rounds + len(options.trl_rows) if trl else 0)
    with tempfile.TemporaryDirectory() as folder, Progress(transient=True) as progress:
        task = progress.add_task("", total=runs)

        def step(label: str, function: Callable[..., Any], *arguments: Any) -> Any:
            progress.update(task, description=label)
            result = alone(function, *arguments)
            progress.advance(task)
            return result

        work = prepare(Path(folder) / "policy", options)
        tokens = fastest("ours", ours, work, options.tokens, step)
        rows = fastest("TRL", trls, work, options.trl_rows, step) if trl else 0
        pairs: list[tuple[Measured, Measured | None]] = []
        for turn in range(1, options.rounds + 1):
            label = f"round {turn} of {options.rounds}"
            mine = step(f"{label}: ours", ours, work, tokens)
            pairs.append((mine, step(f"{label}: TRL", trls, work, rows) if trl else None))
        update = Update(Path(folder) / "wide", options.memory_rows, options.memory_tokens, options.device)
        make_model(update.folder, options.memory_vocabulary, options.memory_hidden, 1, 2 * options.memory_tokens)
        sides = [step(f"update: {f.__name__} logits", f, update) for f in (chunked, plain)]

    figures = [*speed_figures(pairs, work, speed_bar(options)), *memory_figures(*sides)]
    return finish("A training step", figures, machine(options.device), options, notes(work, tokens, trl, rows, options))


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    add_report_options(parser)
    sizes = parser.add_argument_group("sizes")
    for name, value, text in (
        ("rounds", 3, "processes of each side"),
        ("steps", 5, "timed steps of a process"),
        ("warmup", 2, "steps before them, at least 1"),
        ("prompts", 16, "problems of a step"),
        ("group", 8, "rollouts of a problem"),
        ("new-tokens", 128, "length of every rollout"),
        ("vocabulary", 1024, "ids of the policy"),
        ("hidden", 128, "its hidden size, a multiple of 32"),
        ("layers", 4, "its decoder layers"),
        ("memory-vocabulary", 151936, "ids of the policy whose update is weighed"),
        ("memory-hidden", 64, "its hidden size"),
        ("memory-rows", 4, "rollouts in that update"),
        ("memory-tokens", 1024, "response tokens of each"),
    ):
        sizes.add_argument(f"--{name}", type=int, default=value, metavar="N", help=f"{text} (default {value})")
    for name, values, text in (
        ("tokens", [2560, 5120, 16384], "ours: model.micro_batch_tokens to try"),
        ("trl-rows", TRL_ROWS, "TRL: per_device_train_batch_size to try, divisors of half the rollouts"),
    ):
        shown = f"{text} (default {' '.join(map(str, values))})"
        sizes.add_argument(f"--{name}", type=int, nargs="+", default=values, metavar="N", help=shown)
    sizes.add_argument(
        "--prompt-tokens",
        type=int,
        nargs=2,
        default=[64, 192],
        metavar="N",
        help="shortest and longest problem (default 64 192: the paper's system prompt and a problem of MATH)",
    )
    sizes.add_argument(
        "--without-signal",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="share of the problems whose rollouts are all graded alike: no advantage, nothing to learn (default 0)",
    )
    parser.add_argument("--torch-compile", action="store_true", help="ours: compile the steps of sampling")
    options = parser.parse_args()
    half = options.prompts * options.group // 2
    if options.trl_rows is TRL_ROWS:  # not given, so a run of other sizes makes do with those that divide
        options.trl_rows = [rows for rows in TRL_ROWS if half % rows == 0] or [half]
    if wrong := [rows for rows in options.trl_rows if half % rows]:
        parser.error(f"--trl-rows {wrong[0]} does not divide the {half} rollouts of an update: give divisors of {half}")
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device is cuda, but torch sees no GPU here: give cpu")
    if not 0 <= options.without_signal <= 1:
        parser.error(f"--without-signal is {options.without_signal}, a share: give a number between 0 and 1")
    if options.warmup < 1:
        parser.error(f"--warmup is {options.warmup}, but a step is timed from the end of another: give at least 1")
    return options


def prepare(folder: Path, options: argparse.Namespace) -> Work:
    """The policy, its problems, and what is to be done with them."""
    window = options.prompt_tokens[1] + 256 + options.new_tokens
    make_model(folder, options.vocabulary, options.hidden, options.layers, window)
    make_problems(
        folder / "problems.jsonl",
        4 * options.prompts,
        options.vocabulary,
        *options.prompt_tokens,
        options.without_signal,
    )
    return Work(
        folder,
        options.prompts,
        options.group,
        options.new_tokens,
        options.warmup,
        options.steps,
        options.device,
        options.torch_compile,
    )


def fastest(
    name: str, side: Callable[[Work, int], Measured], work: Work, sizes: Sequence[int], step: Callable[..., Any]
) -> int:
    """The micro-batch size that serves a side best, by two steps with each."""
    short = replace(work, warmup=1, steps=2)
    rates = {size: step(f"{name}: micro-batches of {size}", side, short, size).rate(work.rollouts) for size in sizes}
    return max(rates, key=lambda size: rates[size])


def speed_figures(pairs: Sequence[tuple[Measured, Measured | None]], work: Work, bar: float) -> list[Figure]:
    """Rollouts per second of each side, their ratio in the median round, and peak memory.

    Raises:
        RuntimeError: where the two sides' rollouts differ in length.
    """
    figures: list[Figure] = []
    rates: list[list[float]] = []
    for name, runs in zip(("ours", "TRL"), zip(*pairs, strict=True), strict=True):
        if None in runs:
            continue
        if any(run.length != work.new_tokens for run in runs):
            raise RuntimeError(f"{name}: rollouts of {runs[0].length} tokens on average, not of {work.new_tokens}")
        rates.append([run.rate(work.rollouts) for run in runs])
        seconds, sampling = median(median(run.seconds) for run in runs), median(median(run.sampling) for run in runs)
        detail = f"{seconds:.2f} s a step, {sampling:.2f} s of it sampling; rounds {listed(rates[-1])}"
        figures.append(Figure(f"samples per second, {name}", median(rates[-1]), "samples/s", detail=detail))
        figures.append(Figure(f"peak memory of a step, {name}", median(run.memory for run in runs) / MIB, "MiB"))
    ratios = [a / b for a, b in zip(*rates, strict=True)] if len(rates) == 2 else []
    ratio = Figure(
        "samples per second, ours ÷ TRL",
        median(ratios) if ratios else None,
        bar=bar,
        detail=f"rounds {listed(ratios)}" if ratios else "",
    )
    return [ratio, *figures]


def speed_bar(options: argparse.Namespace) -> float:
    """Samples per second ÷ TRL's: what is shared is prompts, and what is left out rollouts without signal."""
    if options.without_signal >= 0.5:
        return 3.0
    return 2.5 if options.prompt_tokens[1] >= 128 else 2.0


def memory_figures(ours: Cost, full: Cost) -> list[Figure]:
    """Peak memory of an update through chunks and through full logits, and their ratio.

    Raises:
        RuntimeError: where the two gradients differ.
    """
    if abs(ours.norm - full.norm) > 1e-3 * full.norm:
        raise RuntimeError(f"gradient norm {ours.norm:.6g} through chunks, {full.norm:.6g} through full logits")
    ratio = ours.memory / full.memory if full.memory else None
    return [
        Figure("memory of an update, ours ÷ full logits", ratio, bar=MEMORY_BAR, sense="at most"),
        Figure("memory of an update, ours", ours.memory / MIB, "MiB", detail=f"{ours.seconds:.1f} s"),
        Figure("memory of an update, full logits", full.memory / MIB, "MiB", detail=f"{full.seconds:.1f} s"),
    ]


def notes(work: Work, tokens: int, trl: str | None, rows: int, options: argparse.Namespace) -> list[str]:
    """What was run, and how TRL was set."""
    shortest, longest = options.prompt_tokens
    ours = (
        f"{work.prompts} problems of {shortest} to {longest} tokens, {options.without_signal:.0%} without signal, "
        f"× {work.group} rollouts × {work.new_tokens} new tokens, 2 updates, float32; medians of {options.rounds} × "
        f"{options.steps} steps, each after {options.warmup} of warm-up; memory: {options.memory_rows} × "
        f"{options.memory_tokens} tokens over {options.memory_vocabulary} ids; ours: micro_batch_tokens {tokens}, the "
        f"fastest of {options.tokens}{', torch_compile' if options.torch_compile else ''}"
    )
    if trl is None:
        return [ours, "TRL is not installed, so there is nothing to compare with: pip install -e '.[bench]'"]
    return [
        ours,
        f"TRL {trl}: per_device_train_batch_size {rows}, the fastest of {options.trl_rows}; gradient checkpointing off "
        "(on by default); beta 0. With two updates per generation it computes log π_old in a pass of its own.",
    ]


def listed(values: Sequence[float]) -> str:
    """Values of the rounds, in their order."""
    return ", ".join(f"{value:.3g}" for value in values)


if __name__ == "__main__":
    sys.exit(main())
