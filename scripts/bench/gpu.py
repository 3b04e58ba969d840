"""What decoding and training do on one GPU: a process for each line, figures written as soon as they are there.

    python scripts/bench/gpu.py --json gpu.json [--page docs/performance.md] [--check] [--lines steps coin]

Models have Qwen2.5's shapes at 1.5B and 7B and random weights in bfloat16, made on the card: nothing is downloaded. It
takes an 80 GB card and at most nine minutes (`--budget`), the most important lines first; a line that fails, or hangs,
costs no other. What lines print lies beside the JSON, as `gpu.log`.

    card       its copy bandwidth, at which rooflines are drawn
    attention  which kernel it gets, and why; its time beside that of reading keys and values once
    sampling   the one-pass kernel beside the plain way
    steps      a one-token step of 1.5B ÷ the roofline
    products   of a step by themselves beside reading their weights once
    capture    steps recorded inside gathered(), the policy sharded
    pages      read in place beside gathered
    gap        log-probabilities as sampled, and as trained
    coin       beside plain decoding, 7B under 7B
    numbers    NaN or infinite ones in 10⁴ steps
    steps-7b   a one-token step of 7B ÷ the roofline
    memory     three training steps, beside what `mentor doctor` estimates
    naive      beside the coin, 7B under 7B
    compiled   a step of 1.5B through torch.compile, which takes minutes the first time
    vllm       beside our plain decoding, where it is installed

`--device cpu --tiny` tries every line in a minute; the figures mean nothing then.
"""

from __future__ import annotations

import argparse
import os

os.environ["HF_HUB_OFFLINE"] = "1"  # the models are made here; nothing is looked up
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # looking for a GPU leaves CUDA alone, for processes to be forked

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from gpu_guided import COIN, coin, gap, naive
from gpu_kernels import PRODUCTS, attention, card, numbers, pages, products, sampling
from gpu_setup import Setup
from gpu_steps import COMPILED, STEP, capture, compiled_steps, large_steps, small_steps
from gpu_training import MEMORY, memory
from gpu_vllm import VLLM, vllm
from process import PRELOADED, in_one_line, streamed
from report import Figure, add_report_options, filled, finish, machine, write

TITLE, MARK = "On a GPU", "gpu"


@dataclass(frozen=True)
class Line:
    """Something to measure.

    Attributes:
        name: for `--lines`.
        measure: yields figures.
        main: the figure that stands for the line, with its bar, where it is not reached or fails.
        seconds: after which it is ended.
    """

    name: str
    measure: Callable[[Setup], Iterator[Figure]]
    main: Figure
    seconds: float = 150.0


LINES = (
    Line("card", card, Figure("copy bandwidth", None)),
    Line("attention", attention, Figure("attention kernel", None)),
    Line("sampling", sampling, Figure("one-pass kernel", None)),
    Line("steps", small_steps, STEP),
    Line("products", products, Figure(PRODUCTS, None)),
    Line("capture", capture, Figure("steps recorded inside gathered(), share", None)),
    Line("pages", pages, Figure("pages gathered ÷ read in place, time of a step", None)),
    Line("gap", gap, Figure("log-probability gap, mean", None)),
    Line("coin", coin, COIN),
    Line("numbers", numbers, Figure("NaN or infinite in 10⁴ steps", None)),
    Line("steps-7b", large_steps, Figure("step ÷ roofline, 7B, 64 rows", None)),
    Line("memory", memory, Figure(MEMORY, None)),
    Line("naive", naive, Figure("naive ÷ coin, time, 7B under 7B", None)),
    Line("compiled", compiled_steps, COMPILED, 400.0),
    Line("vllm", vllm, Figure(VLLM, None)),
)


def main() -> int:
    """Measure line after line; the exit status is 1 where `--check` finds a figure below its bar, or none."""
    started, options = time.monotonic(), parse()
    figures: list[Figure] = []
    settings = machine() | {"device": options.device}
    notes = ["tiny shapes, for trying the lines: the figures mean nothing"] if options.tiny else []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MENTOR_CACHE"] = f"{folder}/cache"  # timings of forwards, of this run alone
        setup = Setup(options.device, options.tiny, options.page_tokens, folder)
        for figure in measured(options, setup, started):
            figures.append(figure)
            print(as_row(figure), flush=True)
            if options.json:
                write(options.json, TITLE, figures, settings, notes)
    if options.page:
        told = ", ".join(f"{name} {value}" for name, value in settings.items())
        page = filled(options.page.read_text(encoding="utf-8"), {MARK: f"{markdown(figures)}\n{told}.\n"})
        options.page.write_text(page, encoding="utf-8")
    return finish(TITLE, figures, settings, options, notes)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [line.name for line in LINES]
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="shapes for trying the lines")
    parser.add_argument("--page-tokens", type=int, default=None, metavar="N", help="as of the samplers")
    parser.add_argument("--budget", type=float, default=540, metavar="SECONDS", help="for all lines (default 540)")
    parser.add_argument("--lines", nargs="+", default=names, choices=names, metavar="NAME", help="these alone")
    parser.add_argument("--page", type=Path, metavar="FILE", help=f"write the table between this page's marks ({MARK})")
    add_report_options(parser)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch sees no GPU here: give --device cpu --tiny to try the lines")
    if options.device == "cpu" and not options.tiny:
        parser.error("--device is cpu, which whole shapes would take days on: add --tiny")
    options.log = options.json.with_suffix(".log") if options.json else Path(os.devnull)
    return options


def measured(options: argparse.Namespace, setup: Setup, started: float) -> Iterator[Figure]:
    """The figures of the lines asked for, each as soon as it is there."""
    for line in LINES:
        if line.name not in options.lines:
            continue
        left, names = started + options.budget - time.monotonic(), set[str]()
        if left <= 0:
            yield replace(line.main, detail=f"not reached in the {options.budget:.0f} s of the budget")
            continue
        try:
            for figure in streamed(line.measure, min(left, line.seconds), options.log, setup):
                names.add(figure.name)
                yield figure
        except Exception as problem:
            known = line.main.name in names
            yield replace(Figure(f"{line.name}: the rest", None) if known else line.main, detail=in_one_line(problem))


def as_row(figure: Figure) -> str:
    """A line of text."""
    mark = {True: "ok", False: "BELOW", None: ""}[figure.passed]
    return f"{figure.name:<58} {figure.shown:>14}  {figure.shown_bar:<14} {mark:<5}  {figure.detail}".rstrip()


def markdown(figures: Sequence[Figure]) -> str:
    """A table in Markdown."""
    rows = [["figure", "value", "bar", ""], ["---"] * 4]
    rows += [[figure.name, figure.shown, figure.shown_bar, figure.detail.replace("|", "\\|")] for figure in figures]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    multiprocessing.set_forkserver_preload(PRELOADED)
    sys.exit(main())
