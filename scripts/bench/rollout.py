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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any

import torch
from mixture import Profile, Shape, build_pair
from process import alone, measured
from report import Figure, add_report_options, finish, machine
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from torch import Tensor
from transformers import StoppingCriteria

from mentor_pl.algorithms.parts.gates import EntropyGate, Gate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.timings import ForwardTimings, measure_timings
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.noise import rollout_keys
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, Samples, decoding
from mentor_pl.models.loading import Models, Vocabulary

NEVER = -1  # a stop id that no model says: lengths are set by limits
SMALL, LARGE, WIDE = Shape(128, 4, 4, 1, 384), Shape(256, 4, 8, 2, 944), Shape(512, 4, 8, 2, 1536)  # 1, 4, 13 M
LOW = Profile(unsure=0.18, settles=0.04, disagreement=0.062)  # TV about .17 at a mean w of .07
HIGH = Profile(unsure=0.4, settles=0.01, disagreement=0.18)  # TV about .36 at a mean w of .17
GROUP = 4  # mixed rollouts of a prompt, as in the paper
QWEN_1_5B, QWEN_7B = Shape(1536, 28, 12, 2, 8960), Shape(3584, 28, 28, 4, 18944)


@dataclass
class Work:
    """Prompts to answer with given models."""

    models: Models
    prompts: list[list[int]]
    length: int
    limits: list[int] | None = None
    gate: Gate | None = None

    @cached_property
    def timings(self) -> ForwardTimings:
        """What forwards of the two models cost by themselves."""
        policy, expert = self.models.policy, self.models.expert
        with torch.no_grad(), cached_attention(policy, expert):
            return measure_timings(policy, expert, len(self.prompts), self.models.device)

    @property
    def keys(self) -> Tensor:
        rows = torch.arange(len(self.prompts))
        return rollout_keys(0, 0, rows, torch.zeros_like(rows))

    @property
    def tokens(self) -> int:
        return sum(self.limits) if self.limits else self.length * len(self.prompts)

    def sample(self, sampler: Sampler, guided: bool = False) -> Samples:
        """One call of a sampler, finished on the device."""
        gate = self.gate if guided else None
        with decoding(self.models.policy):
            samples = sampler(
                self.models,
                self.prompts,
                self.keys,
                SamplingParams(max_new_tokens=self.length),
                gate,
                limits=self.limits,
            )
        if self.models.device.type == "cuda":
            torch.cuda.synchronize()
        return samples


def work(
    policy: Shape,
    expert: Shape,
    profile: Profile,
    rollouts: int,
    length: int,
    *,
    mean_weight: float = 0.07,
    group: int = GROUP,
    prompt_tokens: int = 32,
    vocabulary: int = 1024,
    device: str = "cpu",
) -> Work:
    """Models of a profile and random prompts, `group` rollouts of each; γ gives on-policy rollouts the mean weight."""
    dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
    window = prompt_tokens + length
    pair = [model.to(device, dtype) for model in build_pair(policy, expert, profile, vocabulary, window, seed=0)]
    models = Models(*pair, tokenizer=None, vocabulary=Vocabulary(vocabulary, (NEVER,), window))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(1)
    texts = torch.randint(vocabulary // 2, (rollouts // group, prompt_tokens), generator=generator).tolist()
    made = Work(models, [text for text in texts for _ in range(group)], length)
    made.gate = gate_at(mean_weight, made.sample(Coin()).entropies.flatten())
    return made


def gate_at(mean_weight: float, entropies: Tensor) -> Gate:
    """The gate with that mean weight on given entropies [·], found by bisection of log γ."""
    low, high = 1e-4, 100.0
    for _ in range(50):
        gamma = (low * high) ** 0.5
        low, high = (gamma, high) if (entropies / gamma).clamp(max=1).mean() > mean_weight else (low, gamma)
    gate = EntropyGate()
    gate.observe(torch.tensor([gamma]))
    return gate


class PerRow(StoppingCriteria):
    """Ends each row of `generate` at a length of its own."""

    def __init__(self, limits: Sequence[int], prompt_tokens: int) -> None:
        self.limits, self.prompt_tokens = torch.tensor(limits), prompt_tokens

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        return input_ids.shape[1] - self.prompt_tokens >= self.limits.to(input_ids.device)


def generate(task: Work, rows: int) -> None:
    """The same lengths from transformers' `generate`, `rows` at a time."""
    model = task.models.policy
    limits = task.limits or [task.length] * len(task.prompts)
    with torch.no_grad():
        for start in range(0, len(task.prompts), rows):
            ids = torch.tensor(task.prompts[start : start + rows], device=task.models.device)
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_k=0,
                max_new_tokens=task.length,
                eos_token_id=None,
                pad_token_id=0,
                stopping_criteria=[PerRow(limits[start : start + rows], ids.shape[1])],
            )
    if task.models.device.type == "cuda":
        torch.cuda.synchronize()


@dataclass
class Case:
    """Something to time, and what it took in each round."""

    run: Callable[[], Samples | None]
    seconds: list[float] = field(default_factory=list)
    samples: Samples | None = None

    @property
    def median(self) -> float:
        return median(self.seconds)


def rounds(cases: dict[str, Case], count: int, title: str, progress: Progress) -> dict[str, Case]:
    """Run all cases in turn, `count` times after one warm-up."""
    task = progress.add_task(title, total=(count + 1) * len(cases))
    for i in range(count + 1):
        for case in cases.values():
            started = time.perf_counter()
            case.samples = case.run()
            if i:
                case.seconds.append(time.perf_counter() - started)
            progress.advance(task)
    return cases


def ratio(cases: dict[str, Case], above: str, below: str) -> float:
    """The median over rounds of one case's time divided by another's of the same round."""
    return median(a / b for a, b in zip(cases[above].seconds, cases[below].seconds, strict=True))


LEGEND = (
    "÷ plain: time, measured and by the cost model. Per 1,000 response tokens: steps of the policy, calls of the "
    "expert. Per token: read by the expert, its heads, drafts lost, places padded. MiB: peak above the models."
)
SAMPLERS: dict[str, Callable[[], Sampler]] = {
    "coin": Coin,
    "algorithm1 K = 4": Algorithm1,
    "algorithm1 K = 8": lambda: Algorithm1(8),
    "naive": Naive,
}


def mixed_cases(task: Work, names: Sequence[str]) -> dict[str, Case]:
    """Plain decoding and the mixed samplers `names`, on the same prompts and noise."""
    cases = {"plain": Case(lambda: task.sample(Coin()))}
    for name in names:
        sampler = SAMPLERS[name]()
        cases[name] = Case(lambda sampler=sampler: task.sample(sampler, guided=True))  # type: ignore[misc]
    return cases


def peak_memory(sampler: str, options: dict[str, Any]) -> int:
    """Bytes that one call needs above the models; run in a process of its own."""
    torch.set_num_threads(options.pop("threads"))
    task = work(**options)
    with measured(options.get("device", "cpu")) as memory:
        if sampler == "generate":
            generate(task, len(task.prompts))
        else:
            task.sample(SAMPLERS[sampler]() if sampler != "plain" else Coin(), guided=sampler != "plain")
    return memory.peak


def modelled(name: str, case: Case, task: Work) -> float | None:
    """Time ÷ plain by the cost model of docs/performance.md, from costs measured alone and the case's own counts."""
    if case.samples is None or name == "plain":
        return 1.0 if name == "plain" else None
    rows, counts = len(task.prompts), case.samples.stats
    timings = task.timings
    r = float(case.samples.replaced.sum()) / counts.tokens
    k = counts.policy_forwards / max(1, counts.expert_calls)  # draft steps between two calls
    kept = (1 - (1 - r) ** k) / r if r and k > 1 else k
    read = counts.expert_tokens / counts.tokens * kept * rows
    return (k * timings.policy_step + timings.expert_call + read * timings.expert_token) / (kept * timings.policy_step)


def sampler_table(cases: dict[str, Case], task: Work, memory: dict[str, int]) -> Table:
    """One line per case: speed, the cost model's word, the expert's share of the work, memory."""
    title = f"{len(task.prompts)} rows, {task.length} tokens each"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, caption=LEGEND, caption_justify="left")
    for column in ("", "tokens/s", "÷ plain", "model", "steps", "calls", "read", "heads", "lost", "pad", "MiB"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, case in cases.items():
        model = modelled(name, case, task)
        line = [name, f"{task.tokens / case.median:,.0f}", f"{ratio(cases, name, 'plain'):.2f}"]
        line.append("" if model is None else f"{model:.2f}")
        if case.samples is not None:
            per = case.samples.stats.per_token()
            line += [f"{1000 * per[count]:.1f}" for count in ("policy_forwards", "expert_calls")]
            line += [f"{per[count]:.2f}" for count in ("expert_tokens", "scored_positions", "rolled_back", "padding")]
        else:
            line += [""] * 6
        table.add_row(*line, f"{memory[name] / 2**20:,.0f}" if name in memory else "")
    return table


def profile_note(label: str, cases: dict[str, Case]) -> str:
    """What the profile came to."""
    samples = cases["coin"].samples
    assert samples is not None
    weights, tokens = float(samples.gate_weights.sum()), samples.stats.tokens
    distance = float(samples.replaced.sum()) / weights
    return f"{label}: mean w {weights / tokens:.3f}, TV where it is asked {distance:.2f}"


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
    per = coin.stats.per_token()
    figures = [
        Figure("coin ÷ plain, time", ratio(cases, "coin", "plain"), "", 1.6, "at most", "aim 1.4"),
        Figure("algorithm1 K = 4 ÷ coin, time", ratio(cases, "algorithm1 K = 4", "coin"), "", 1.05, detail="aim 1.3"),
        Figure("naive ÷ coin, time", ratio(cases, "naive", "coin"), "", 1.45, detail="aim 1.7"),
        Figure("naive ÷ coin at mean w about .17, time", ratio(often, "naive", "coin"), "", 1.2),
        Figure("expert tokens per token", per["expert_tokens"], "", 0.7, "at most"),
        Figure("expert heads per token", per["scored_positions"], "", 0.1, "at most"),
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
    facts = machine(options.device) | {"rounds": options.rounds, "rows": options.rows}
    with Progress(console=console, transient=True) as progress:
        if options.device.startswith("cuda"):
            figures, notes = on_gpu(options, progress, console)
        else:
            figures = spread(options, progress)
            more, notes = mixed(options, progress, console)
            figures += more + shared_prompt(options, progress)
    return finish("Decoding", figures, facts, options, notes)


if __name__ == "__main__":
    sys.exit(main())
