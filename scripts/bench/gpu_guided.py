"""Lines of `gpu.py`: mixed decoding beside plain decoding, and how far sampling and training are from each other.

Shapes: N rollouts, B of a forward, T response tokens.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from gpu_setup import PROFILE, REPEATS, Setup
from report import Figure
from rich.progress import Progress
from rollout_cases import Case, profile_note, ratio, rounds
from rollout_work import GROUP, Work, work
from step_sides import CLIP_HIGH, CLIP_LOW

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.sampler import Sampler, decoding, response_values
from mentor_pl.models.logprobs import token_logprobs

COIN = Figure("coin ÷ plain, time per token, 7B under 7B", None, "", 1.45, "at most")
QUIET = Progress(disable=True)


def _pair(setup: Setup, rows: int, length: int) -> Work:
    """7B under 7B, four rollouts of a prompt, a mean w of 0.07."""
    shape, options = setup.shape("7B"), {"vocabulary": setup.vocabulary, "device": setup.device}
    return work(shape, shape, PROFILE, rows, length, prompt_tokens=setup.of(256, 8), **options)  # type: ignore[arg-type]


def _case(task: Work, sampler: Sampler, guided: bool = True) -> Case:
    return Case(lambda: task.sample(sampler, guided))


def coin(setup: Setup) -> Iterator[Figure]:
    """The coin beside plain decoding."""
    task = _pair(setup, setup.of(64, 8), setup.of(256, 12))
    chosen, eight = setup.sampler(Coin), setup.sampler(Coin, schedule=FixedK(8))
    cases = {"plain": _case(task, setup.sampler(Coin), guided=False), "coin": _case(task, chosen)}
    cases["K = 8"] = _case(task, eight)
    rounds(cases, REPEATS, "coin", QUIET)
    coins = cases["coin"].samples
    assert coins is not None
    k = coins.stats.policy_forwards / max(1, coins.stats.expert_calls)
    detail = f"{profile_note(f'{len(task.prompts)} rows of {task.length} tokens', cases)}"
    speed = f"{task.tokens / cases['plain'].median:,.0f} tokens/s plain"
    yield Figure(COIN.name, ratio(cases, "coin", "plain"), "", COIN.bar, COIN.sense, f"{detail}, {speed}")
    timings = next(iter(chosen.timings.values()), None)
    if timings is not None:
        seen = f"measured for it: a step {1e3 * timings.policy_step:.1f} ms, a call {1e3 * timings.expert_call:.1f} ms "
        seen += f"and {1e6 * timings.expert_token:.1f} µs a token"
        yield Figure("draft steps per call of the expert, as its schedule has it", k, detail=seen)
    yield Figure("coin with K = 8 ÷ plain, time per token, 7B under 7B", ratio(cases, "K = 8", "plain"))


def naive(setup: Setup) -> Iterator[Figure]:
    """Naive decoding beside the coin; fewer tokens, since both models read each by itself."""
    task = _pair(setup, setup.of(64, 8), setup.of(128, 8))
    cases = {"coin": _case(task, setup.sampler(Coin)), "naive": _case(task, setup.sampler(Naive))}
    rounds(cases, REPEATS, "naive", QUIET)
    detail = ", ".join(f"{name} {task.tokens / case.median:,.0f} tokens/s" for name, case in cases.items())
    yield Figure("naive ÷ coin, time, 7B under 7B", ratio(cases, "naive", "coin"), detail=detail)


def gap(setup: Setup) -> Iterator[Figure]:
    """Log-probabilities as sampling keeps them, and as the training forward has them at the same weights; a 1.5B."""
    rows, prompt_tokens, length = setup.of(64, 8), setup.of(256, 8), setup.of(512, 24)
    models = setup.models(setup.shape("1.5B"), prompt_tokens + length)
    task = setup.work(models, rows, prompt_tokens, length, GROUP)
    samples = task.sample(setup.sampler(Coin))
    prompts, device = torch.tensor(task.prompts, device=models.device), models.device
    lengths = torch.full((rows,), prompt_tokens, device=device)
    parts = []
    with decoding(models.policy):
        for some in torch.arange(rows, device=device).split(2 * GROUP):
            of_rows = (prompts[some], lengths[some], samples.ids[some], samples.lengths[some])
            parts.append(token_logprobs(models.policy, *of_rows, vocab_size=setup.vocabulary).logprobs)
    difference = response_values(torch.cat(parts) - samples.logprobs, samples.lengths)
    ratios = difference.exp()
    beyond = float(((ratios < 1 - CLIP_LOW) | (ratios > 1 + CLIP_HIGH)).float().mean())
    kind, gaps = str(setup.dtype).removeprefix("torch."), difference.abs()
    detail = f"{len(gaps):,} tokens in {kind}, mean entropy {samples.entropies.mean():.2f}; greatest {gaps.max():.2g}"
    yield Figure("log-probability gap, mean", float(gaps.mean()), "nats", detail=detail)
    yield Figure("sampling ratio, mean", float(ratios.mean()), detail=f"beyond the clip range: {beyond:.2%}")
