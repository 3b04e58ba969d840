"""Signs of metrics that stay at an end: nothing is right, graded, guided, ends, has the format, or teaches anything."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from mentor_pl.experiments.diagnosis.limits import (
    ALPHA,
    FORMAT,
    GUIDED,
    NOT_GRADED,
    OUTCOME,
    REWARD,
    ROLLOUTS,
    TRUNCATED,
    WITHOUT_SIGNAL,
    Limits,
    Metrics,
    Sign,
    accuracy,
    last,
)


def nothing_right(metrics: Metrics, limits: Limits) -> str | None:
    """No rollout of the policy is right, or has any reward."""
    for name in (OUTCOME, REWARD):
        values = last(metrics, name, limits.streak)
        if values and not any(values):
            return (
                f"nothing is right: {name} was 0 for {limits.streak} steps in a row, so there is nothing to reinforce: "
                "take easier problems (data.select.levels, data.pools), and see by `mentor doctor` that the reward "
                "takes the gold answers for right"
            )
    return None


def no_signal(metrics: Metrics, limits: Limits) -> str | None:
    """Every group's rewards are equal, so nothing is learned; not said where nothing is right anyway."""
    shares = last(metrics, WITHOUT_SIGNAL, limits.streak)
    if not shares or min(shares) < 1 or nothing_right(metrics, limits):
        return None
    name, verdicts = accuracy(metrics)
    if verdicts and max(verdicts) < max(metrics[WITHOUT_SIGNAL]):
        return None  # this step's are yet to come
    known = last(metrics, name, limits.streak)
    level = f" with {name} at {mean(known):.3f}" if known else ""
    return (
        f"no group has signal: {WITHOUT_SIGNAL} was 1 for {limits.streak} steps in a row{level}, so every advantage is "
        "0: take problems that the policy solves now and then (data.pools, data.dynamic_sampling), or larger groups"
    )


def format_never_met(metrics: Metrics, limits: Limits) -> str | None:
    """No response has had the format since the start."""
    values = list(metrics.get(FORMAT, {}).values())
    if len(values) < limits.window or any(values):
        return None
    return (
        f"the format is never met: {FORMAT} was 0 at each of {len(values)} steps (limit: {limits.window}): ask for it "
        "in data.system_prompt or data.template, see that data.sampling.max_new_tokens leaves room for it, or leave it "
        "out of the reward"
    )


def all_truncated(metrics: Metrics, limits: Limits) -> str | None:
    """Nearly every response is cut off before it ends."""
    shares = last(metrics, TRUNCATED, limits.streak)
    if not shares or min(shares) < limits.truncated:
        return None
    return (
        f"responses do not end: {TRUNCATED} was {min(shares):.2f} or more for {limits.streak} steps in a row (limit: "
        f"{limits.truncated:g}): raise data.sampling.max_new_tokens, or name what ends a response in model.stop_tokens"
    )


def nothing_guided(metrics: Metrics, limits: Limits) -> str | None:
    """The expert never speaks while guidance lasts."""
    shares = last(metrics, GUIDED, limits.streak)
    if not shares or any(shares) or _alpha(metrics) <= limits.alpha:
        return None
    return (
        f"nothing is guided: {GUIDED} was 0 for {limits.streak} steps in a row, so the expert teaches nothing: lower "
        "the gate's p, raise the method's share of the expert, or take an expert that differs from the policy"
    )


def everything_guided(metrics: Metrics, limits: Limits) -> str | None:
    """The expert says nearly every token of the mixed rollouts."""
    shares = last(metrics, GUIDED, limits.streak)
    if not shares or min(shares) < limits.guided:
        return None
    return (
        f"everything is guided: {GUIDED} was {min(shares):.2f} or more for {limits.streak} steps in a row (limit: "
        f"{limits.guided:g}), so mixed rollouts are the expert's alone: raise the gate's p, or lower the method's "
        "share of the expert"
    )


def _alpha(metrics: Metrics) -> float:
    return next(reversed(metrics.get(ALPHA, {}).values()), 1.0)


def nothing_graded(metrics: Metrics, limits: Limits) -> str | None:
    """The reward gives hardly any verdict."""
    missing, all_of_them = (last(metrics, name, limits.streak) for name in (NOT_GRADED, ROLLOUTS))
    shares = [min(1.0, some / whole) for some, whole in zip(missing, all_of_them, strict=False) if whole]
    if not shares or min(shares) < limits.not_graded:
        return None
    return (
        f"nothing is graded: {min(shares):.0%} or more of the rollouts had no verdict for {limits.streak} steps in a "
        f"row (limit: {limits.not_graded:.0%}): the log names the reward's failures: mend them, or raise its timeout"
    )


STUCK: Sequence[Sign] = (
    nothing_right,
    no_signal,
    format_never_met,
    all_truncated,
    nothing_guided,
    everything_guided,
    nothing_graded,
)
