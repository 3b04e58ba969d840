"""Cases that are timed in turn, so that a noisy machine slows all of them alike, and the table of the samplers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich import box
from rich.progress import Progress
from rich.table import Table
from rollout_work import SAMPLERS, Work

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.sampler import Samples

LEGEND = (
    "÷ plain: time, measured and by the cost model. Per 1,000 response tokens: steps of the policy, calls of the "
    "expert. Per token: read by the expert, scored by it, drafts lost, places padded. MiB: peak above the models."
)


@dataclass
class Case:
    """Something to time, and what it took in each round."""

    run: Callable[[], Any]
    seconds: list[float] = field(default_factory=list)
    samples: Samples | None = None

    @property
    def median(self) -> float:
        return median(self.seconds)


def rounds(
    cases: dict[str, Case], count: int, title: str, progress: Progress, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Case]:
    """Run all cases in turn, `count` times after one warm-up; `clock` gives seconds."""
    task = progress.add_task(title, total=(count + 1) * len(cases))
    for i in range(count + 1):
        for case in cases.values():
            started = clock()
            said = case.run()
            case.samples = said if isinstance(said, Samples) else None
            if i:
                case.seconds.append(clock() - started)
            progress.advance(task)
    return cases


def ratio(cases: dict[str, Case], above: str, below: str) -> float:
    """The median over rounds of one case's time divided by another's of the same round."""
    return median(a / b for a, b in zip(cases[above].seconds, cases[below].seconds, strict=True))


def mixed_cases(task: Work, names: Sequence[str]) -> dict[str, Case]:
    """Plain decoding and the mixed samplers `names`, on the same prompts and noise."""
    cases = {"plain": Case(lambda: task.sample(Coin(torch_compile=task.torch_compile)))}
    for name in names:
        sampler = SAMPLERS[name](torch_compile=task.torch_compile)
        cases[name] = Case(lambda sampler=sampler: task.sample(sampler, guided=True))  # type: ignore[misc]
    return cases


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
    for column in ("", "tokens/s", "÷ plain", "model", "steps", "calls", "read", "scored", "lost", "pad", "MiB"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, case in cases.items():
        model = modelled(name, case, task)
        line = [name, f"{task.tokens / case.median:,.0f}", f"{ratio(cases, name, 'plain'):.2f}"]
        line.append("" if model is None else f"{model:.2f}")
        if case.samples is not None:
            per = case.samples.stats.rates()
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
