"""What a run's metrics say is going wrong, in words: the number, the limit, and what to change.

The first four signs are the paper's: entropy falls faster than the on-policy baseline's, responses grow while accuracy
does not, pass@k declines, and training is unstable once α reaches 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean, median

from mentor_pl.experiments.diagnosis.limits import (
    ALPHA,
    ENTROPY,
    GAMMA,
    GRADIENT,
    LENGTH,
    Limits,
    Metrics,
    Sign,
    accuracy,
)
from mentor_pl.experiments.diagnosis.stuck import STUCK
from mentor_pl.experiments.metrics_file import Series

_LOWER_RATE = "the learning rate is too high for the end of the run: lower the lr of model.optimizer"


def _ranked(metrics: Metrics, metric: str) -> list[tuple[str, Series]]:
    """The benchmarks' series of a metric, such as `avg@`."""
    return [(name, metrics[name]) for name in metrics if name.startswith("val/") and f"/{metric}" in name]


def guidance_ended(metrics: Metrics, limits: Limits) -> int | None:
    """The last step with guidance, where there was some and there is none at the last step."""
    alphas = metrics.get(ALPHA, {})
    guided = [step for step, alpha in alphas.items() if alpha > limits.alpha]
    return guided[-1] if guided and guided[-1] < max(alphas) else None


def entropy_falls(metrics: Metrics, limits: Limits, baseline: Metrics) -> str | None:
    """Entropy falls faster than the on-policy baseline's: γ_p too low."""
    ours, theirs = metrics.get(ENTROPY, {}), baseline.get(ENTROPY, {})
    steps = [step for step in ours if step in theirs]
    if len(steps) <= limits.window:
        return None
    mine, other = (mean(s[step] for step in steps[-limits.window :]) / s[steps[0]] for s in (ours, theirs))
    if not mine < limits.entropy * other:
        return None
    remedy = "γ_p is too low, so the gate is too wide: raise the gate's p" if GAMMA in metrics else _LOWER_RATE
    return (
        f"entropy falls faster than the baseline's: over the last {limits.window} steps that both have it is "
        f"{mine:.2f} of what it was at first, the baseline's {other:.2f} (limit: {limits.entropy:g} of that): {remedy}"
    )


def length_explodes(metrics: Metrics, limits: Limits) -> str | None:
    """Responses grow while accuracy does not: what the expert says is not distilled."""
    lengths, (name, known) = metrics.get(LENGTH, {}), accuracy(metrics)
    if len(lengths) < 2 * limits.window or len(known) < 2 * limits.window:
        return None
    before, now = (mean(list(lengths.values())[part]) for part in _ends(limits.window))
    was, is_now = (mean(list(known.values())[part]) for part in _ends(limits.window))
    if not (now > limits.length * before and is_now < was + limits.rise):
        return None
    return (
        f"responses grow and accuracy does not: {LENGTH} is {now:.4g} over the last {limits.window} steps, "
        f"{now / before:.1f} times that of the first (limit: {limits.length:g}), while {name} went from {was:.3f} to "
        f"{is_now:.3f} (a rise is {limits.rise:g}): the expert's patterns are not distilled: let α fall otherwise, by "
        "the schedule of callbacks.AlphaDecay"
    )


def _ends(window: int) -> tuple[slice, slice]:
    return slice(None, window), slice(-window, None)


def pass_at_k_declines(metrics: Metrics, limits: Limits) -> str | None:
    """pass@k falls: too few mixed rollouts, or negative rewards that reach mixed advantages."""
    for name, series in _ranked(metrics, "pass@"):
        steps = list(series)
        if len(steps) < 3:
            continue
        best = max(steps[:-2], key=lambda step: series[step])
        now = max(series[step] for step in steps[-2:])
        if series[best] - now > limits.pass_at_k:
            return (
                f"pass@k declines: {name} is {series[steps[-1]]:.3f}, and for two measurements more than "
                f"{limits.pass_at_k:g} below its {series[best]:.3f} of step {best}: exploration shrinks: give more "
                "mixed rollouts (the algorithm's `mixed`), and see that negative rewards do not reach their advantages"
            )
    return None


def unstable_without_guidance(metrics: Metrics, limits: Limits) -> str | None:
    """Once α is near 0 accuracy slides or gradients grow: the learning rate at the end."""
    ended = guidance_ended(metrics, limits)
    if ended is None:
        return None
    over = f"guidance is over (α ≤ {limits.alpha:g} since step {ended + 1})"
    for name, series in _ranked(metrics, "avg@"):
        guided = [step for step in series if step <= ended]
        fallen = _fall({step: value for step, value in series.items() if not guided or step >= guided[-1]})
        if fallen is not None and fallen[1] > limits.slide:
            return f"unstable: {over}, and {_fallen(name, series, *fallen, limits)}: {_LOWER_RATE}"
    name, known = accuracy(metrics)
    before = [value for step, value in known.items() if step <= ended][-limits.window :]
    since = [value for step, value in known.items() if step > ended][-limits.window :]
    if len(since) == len(before) == limits.window and mean(before) - mean(since) > limits.slide:
        return (
            f"unstable: {over}, and {name} fell from {mean(before):.3f} to {mean(since):.3f}, means of {limits.window} "
            f"steps (limit: {limits.slide:g}): {_LOWER_RATE}"
        )
    norms = metrics.get(GRADIENT, {})
    usual = [norm for step, norm in norms.items() if step <= ended and math.isfinite(norm)]
    since = [norm for step, norm in norms.items() if step > ended][-limits.streak :]
    if usual and len(since) == limits.streak and min(since) > limits.gradient * median(usual):
        return (
            f"unstable: {over}, and {GRADIENT} was {min(since):.3g} or more for {limits.streak} steps, "
            f"{min(since) / median(usual):.1f} times its median before (limit: {limits.gradient:g}): {_LOWER_RATE}"
        )
    return None


def accuracy_slides(metrics: Metrics, limits: Limits) -> str | None:
    """A benchmark's accuracy falls far below its best, with guidance or without any at all."""
    if guidance_ended(metrics, limits) is not None:
        return None  # which `unstable_without_guidance` looks at
    for name, series in _ranked(metrics, "avg@"):
        fallen = _fall(series)
        if fallen is not None and fallen[1] > limits.slide:
            return f"accuracy slides: {_fallen(name, series, *fallen, limits)}: lower the lr of model.optimizer"
    return None


def _fall(series: Series) -> tuple[int, float] | None:
    """Where a series was best before its last value, and how far that is below."""
    steps = list(series)
    if len(steps) < 2:
        return None
    best = max(steps[:-1], key=lambda step: series[step])
    return best, series[best] - series[steps[-1]]


def _fallen(name: str, series: Series, best: int, fall: float, limits: Limits) -> str:
    last = next(reversed(series))
    return (
        f"{name} is {series[last]:.3f} at step {last}, {fall:.3f} below its {series[best]:.3f} of step {best} "
        f"(limit: {limits.slide:g})"
    )


SIGNS: Sequence[Sign] = (length_explodes, pass_at_k_declines, unstable_without_guidance, accuracy_slides, *STUCK)


def diagnose(metrics: Metrics, limits: Limits, baseline: Metrics | None = None) -> dict[str, str]:
    """Each sign that shows at the last step, by its name, in words.

    Args:
        metrics: of the run so far, steps in order.
        limits: from where on a sign is said.
        baseline: metrics of an on-policy run on the same problems; without one entropy is not compared.
    """
    found = {sign.__name__: sign(metrics, limits) for sign in SIGNS}
    if baseline is not None:
        found[entropy_falls.__name__] = entropy_falls(metrics, limits, baseline)
    return {name: words for name, words in found.items() if words is not None}
