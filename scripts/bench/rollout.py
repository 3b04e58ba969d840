"""Times the decoding engine: plain, mixed by each sampler, beside transformers' `generate`; one table, a few minutes.

python scripts/bench/rollout.py --check

Models are random, of given shapes, with an uncertainty made to measure (`mixture.py`); no model or data is
needed. Every figure is a median over rounds, and within a round all cases run one after the other, so that a noisy
machine slows all of them alike: quote ratios. Close other programs; two cores are what the bars on a CPU were set for.

With `--device cuda` the shapes are those of Qwen2.5: decoding of 1.5B at 64 rows beside the time that reading weights
and cache once takes at the card's measured bandwidth, and 7B under a 7B expert.
"""

from __future__ import annotations

import argparse
import sys
import time
from statistics import median

import torch
from mixture import Shape
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
    QWEN_1_5B,
    QWEN_7B,
    SAMPLERS,
    SMALL,
    WIDE,
    Work,
    generate,
    peak_memory,
    work,
)

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.sampler import Samples


def spread(options: argparse.Namespace, progress: Progress) -> list[Figure]:
    """Continuous batching beside `generate`: 64 rows of 16 to 256 tokens through 32 slots."""
    task = work(SMALL, SMALL, LOW, 64, 256, group=1)
    generator = torch.Generator().manual_seed(2)
    task.limits = torch.randint(16, 257, (64,), generator=generator).tolist()
    cases = {
        "plain": Case(lambda: task.sample(Coin(rows=32))),
        "generate": Case(lambda: generate(task, 32)),
    }
    rounds(cases, options.rounds, "plain beside generate", progress)
    speeds = ", ".join(f"{name} {task.tokens / case.median:,.0f} tokens/s" for name, case in cases.items())
    return [Figure("plain ÷ generate, tokens/s", ratio(cases, "generate", "plain"), bar=1.5, detail=speeds)]


def shared_prompt(options: argparse.Namespace, progress: Progress) -> list[Figure]:
    """A group of 8 with one 512-token prompt beside 8 prompts of that length."""
    apart = work(WIDE, WIDE, LOW, 8, 64, group=1, prompt_tokens=512)
    shared = Work(apart.models, [apart.prompts[0]] * 8, 64)
    cases = {"shared": Case(lambda: shared.sample(Coin())), "apart": Case(lambda: apart.sample(Coin()))}
    rounds(cases, options.rounds, "shared prompts", progress)
    detail = ", ".join(f"{name} {1000 * case.median:.0f} ms" for name, case in cases.items())
    return [Figure("shared prefill ÷ 8 prefills, time", ratio(cases, "shared", "apart"), "", 0.5, "at most", detail)]


def mixed(options: argparse.Namespace, progress: Progress, console: Console) -> tuple[list[Figure], list[str]]:
    """The samplers beside plain decoding, where the expert is seldom asked and where it is often asked."""
    setting = {"policy": SMALL, "expert": LARGE, "profile": LOW, "rollouts": options.rows, "length": 256}
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
        Figure("coin ÷ plain, time", ratio(cases, "coin", "plain"), "", 1.6, "at most", "aim 1.4"),
        Figure("algorithm1 K = 4 ÷ coin, time", ratio(cases, "algorithm1 K = 4", "coin"), "", 1.05, detail="aim 1.3"),
        Figure("naive ÷ coin, time", ratio(cases, "naive", "coin"), "", 1.45, detail="aim 1.7"),
        Figure("naive ÷ coin at mean w about .17, time", ratio(often, "naive", "coin"), "", 1.2),
        Figure("expert tokens per token", per["expert_tokens"], "", 0.7, "at most"),
        Figure("scored positions per token", per["scored_positions"], "", 0.1, "at most"),
    ]
    return figures, [profile_note("seldom asked", cases), profile_note("often asked", often)]


def bandwidth(device: str) -> float:
    """Bytes per second of a plain read and write on the device, median of 20."""
    source = torch.empty(2**30, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(22):
        torch.cuda.synchronize()
        started = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * source.numel() / median(seconds[2:])


def plain_step(task: Work, speed: float, options: argparse.Namespace, progress: Progress) -> tuple[float, float]:
    """Seconds of a one-token step over all rows, and of reading weights and cache once at `speed` bytes per second."""
    seconds: list[float] = []

    def run() -> Samples:
        samples = task.sample(Coin())
        seconds.append(samples.stats.seconds["drafting"] / task.length)
        return samples

    rounds({"plain": Case(run)}, options.rounds, "plain steps", progress)
    config, parameters = task.models.policy.config, sum(p.numel() for p in task.models.policy.parameters())
    head_size = config.hidden_size // config.num_attention_heads
    place = 2 * config.num_hidden_layers * config.num_key_value_heads * head_size  # keys and values of a token
    seen = len(task.prompts) * place * (len(task.prompts[0]) + task.length / 2)  # on average over the steps
    read = parameters - config.vocab_size * config.hidden_size  # of the embeddings, a step reads one line per row
    return median(seconds[1:]), 2 * (read + seen) / speed


def on_gpu(options: argparse.Namespace, progress: Progress, console: Console) -> tuple[list[Figure], list[str]]:
    """Qwen2.5's shapes in bfloat16, 64 rows."""
    speed = bandwidth(options.device)
    common = {"profile": LOW, "rollouts": 64, "length": 256, "vocabulary": 151936, "device": options.device}
    step, floor = plain_step(work(QWEN_1_5B, Shape(256, 1, 4, 2, 256), **common), speed, options, progress)
    torch.cuda.empty_cache()
    pair = work(QWEN_7B, QWEN_7B, **common)
    guided = rounds(mixed_cases(pair, list(SAMPLERS)), options.rounds, "7B under 7B", progress)
    console.print(sampler_table(guided, pair, {}))
    figures = [
        Figure("1.5B step ÷ one read of weights and cache", step / floor, "", 1.7, "at most", f"{1000 * step:.2f} ms"),
        Figure("bandwidth roofline of that step", 1000 * floor, "ms", detail=f"{speed / 1e9:,.0f} GB/s measured"),
        Figure("7B under 7B: coin ÷ plain, time", ratio(guided, "coin", "plain"), "", 1.5, "at most"),
    ]
    return figures, [profile_note("7B under 7B", guided)]


def main() -> int:
    """Run, tabulate, check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of each comparison")
    parser.add_argument("--rows", type=int, default=16, help="rows of the mixed comparison on a CPU")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch; by default torch's own choice")
    parser.add_argument("--skip-memory", action="store_true", help="leave out peak memory: a process per sampler")
    add_report_options(parser)
    options = parser.parse_args()
    if options.rows < GROUP or options.rounds < 1:
        parser.error(f"--rows {options.rows} --rounds {options.rounds}: give {GROUP} rows and 1 round at least")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error(f"--device is {options.device}, but torch sees no GPU here: give cpu")
    if options.threads:
        torch.set_num_threads(options.threads)
    console = Console(width=None if sys.stdout.isatty() else 120)
    settings = machine(options.device) | {"rounds": options.rounds, "rows": options.rows}
    with Progress(console=console, transient=True) as progress:
        if options.device.startswith("cuda"):
            figures, notes = on_gpu(options, progress, console)
        else:
            figures = spread(options, progress)
            more, notes = mixed(options, progress, console)
            figures += more + shared_prompt(options, progress)
    return finish("Decoding", figures, settings, options, notes)


if __name__ == "__main__":
    sys.exit(main())
