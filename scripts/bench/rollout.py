"""Times the decoding engine: plain, mixed by each sampler, beside transformers' `generate`; one table, a few minutes.

python scripts/bench/rollout.py --check

Models are random, of given shapes, with an uncertainty made to measure (`mixture.py`); no model or data is
needed. Every figure is a median over rounds, and within a round all cases run one after the other, so that a noisy
machine slows all of them alike: quote ratios. Close other programs; two cores are what the bars were set for. What a
GPU does is measured by `gpu.py`.
"""

from __future__ import annotations

import argparse
import sys

import torch
from process import alone
from report import Figure, add_report_options, finish, machine
from rich.console import Console
from rich.progress import Progress
from rollout_cases import Case, mixed_cases, profile_note, ratio, rounds, sampler_table
from rollout_work import (
    GROUP,
    HIGH,
    LARGE,
    LOW,
    SAMPLERS,
    SMALL,
    WIDE,
    Work,
    generate,
    peak_memory,
    quiet,
    work,
)

from mentor_pl.decoding.coin import Coin


def spread(options: argparse.Namespace, progress: Progress) -> list[Figure]:
    """Continuous batching beside `generate`: 64 rows of 16 to 256 tokens through 32 slots."""
    task = work(SMALL, SMALL, LOW, 64, 256, group=1)
    generator = torch.Generator().manual_seed(2)
    task.limits = torch.randint(16, 257, (64,), generator=generator).tolist()
    cases = {
        "plain": Case(lambda: task.sample(Coin(rows=32, torch_compile=options.torch_compile))),
        "generate": Case(lambda: generate(task, 32)),
    }
    rounds(cases, options.rounds, "plain beside generate", progress)
    speeds = ", ".join(f"{name} {task.tokens / case.median:,.0f} tokens/s" for name, case in cases.items())
    return [Figure("plain ÷ generate, tokens/s", ratio(cases, "generate", "plain"), bar=1.6, detail=speeds)]


def shared_prompt(options: argparse.Namespace, progress: Progress) -> list[Figure]:
    """A group of 8 with one 512-token prompt beside 8 prompts of that length."""
    apart = work(WIDE, WIDE, LOW, 8, 64, group=1, prompt_tokens=512)
    shared = Work(apart.models, [apart.prompts[0]] * 8, 64)
    sampler = Coin(torch_compile=options.torch_compile)
    cases = {"shared": Case(lambda: shared.sample(sampler)), "apart": Case(lambda: apart.sample(sampler))}
    rounds(cases, options.rounds, "shared prompts", progress)
    detail = ", ".join(f"{name} {1000 * case.median:.0f} ms" for name, case in cases.items())
    return [Figure("shared prefill ÷ 8 prefills, time", ratio(cases, "shared", "apart"), "", 0.4, "at most", detail)]


def mixed(options: argparse.Namespace, progress: Progress, console: Console) -> tuple[list[Figure], list[str]]:
    """The samplers beside plain decoding, where the expert is seldom asked and where it is often asked."""
    setting = {"policy": SMALL, "expert": LARGE, "profile": LOW, "rollouts": options.rows, "length": 256}
    setting["torch_compile"] = options.torch_compile
    task = work(**setting)
    cases = mixed_cases(task, list(SAMPLERS))
    cases["generate"] = Case(lambda: generate(task, options.rows))
    rounds(cases, options.rounds, "mean w about .07", progress)
    memory = {}
    if not options.skip_memory:
        step = progress.add_task("peak memory", total=len(cases))
        for name in cases:
            memory[name] = alone(peak_memory, name, setting | {"threads": torch.get_num_threads()})
            progress.advance(step)
    often_task = work(**setting | {"profile": HIGH, "mean_weight": 0.10})
    often = rounds(mixed_cases(often_task, ["coin", "naive"]), options.rounds, "mean w about .17", progress)
    for table in (sampler_table(cases, task, memory), sampler_table(often, often_task, {})):
        console.print(table)
    coin = cases["coin"].samples
    assert coin is not None
    per = coin.stats.rates()
    figures = [
        Figure("coin ÷ plain, time", ratio(cases, "coin", "plain"), "", 1.5 if options.rows <= 16 else 1.6, "at most"),
        Figure("algorithm1 K = 4 ÷ coin, time", ratio(cases, "algorithm1 K = 4", "coin"), "", 1.05),
        Figure("naive ÷ coin, time", ratio(cases, "naive", "coin"), "", 1.45),
        Figure("naive ÷ coin at mean w about .17, time", ratio(often, "naive", "coin"), "", 1.2),
        Figure("expert tokens per token", per["expert_tokens"], "", 0.7, "at most"),
        Figure("scored positions per token", per["scored_positions"], "", 0.1, "at most"),
    ]
    return figures, [profile_note("seldom asked", cases), profile_note("often asked", often)]


def main() -> int:
    """Run, tabulate, check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of each comparison")
    parser.add_argument("--rows", type=int, default=16, help="rows of the mixed comparison")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch; by default torch's own choice")
    parser.add_argument("--torch-compile", action="store_true", help="compile the policy's steps, which takes a minute")
    parser.add_argument("--skip-memory", action="store_true", help="leave out peak memory: a process per sampler")
    add_report_options(parser)
    options = parser.parse_args()
    quiet()
    if options.rows < GROUP or options.rounds < 1:
        parser.error(f"--rows {options.rows} --rounds {options.rounds}: give {GROUP} rows and 1 round at least")
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console(width=None if sys.stdout.isatty() else 120)
    settings = machine() | {"rounds": options.rounds, "rows": options.rows, "torch_compile": options.torch_compile}
    with Progress(console=console, transient=True) as progress:
        figures = spread(options, progress)
        more, notes = mixed(options, progress, console)
        figures += more + shared_prompt(options, progress)
    return finish("Decoding", figures, settings, options, notes)


if __name__ == "__main__":
    sys.exit(main())
