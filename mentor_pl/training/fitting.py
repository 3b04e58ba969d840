"""Which settings make a run fit its memory, by estimating it under others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mentor_pl.training.memory import PHASES, MemoryEstimate, peak
from mentor_pl.training.plan import Plan


def fitting(estimate: MemoryEstimate, plan: Plan, capacity: float) -> Plan:
    """The plan with the settings changed, the cheapest first, that bring its peak to `capacity` bytes, or near it."""
    changed = _within(estimate, plan, capacity)
    if fits(estimate, changed, capacity) or not (plan.cuda and estimate.has_expert):
        return changed
    offloaded = _within(estimate, replace(plan, expert_placement="offloaded"), capacity)
    return offloaded if fits(estimate, offloaded, capacity) else changed


def fits(estimate: MemoryEstimate, plan: Plan, capacity: float, phases: Sequence[str] = PHASES) -> bool:
    """Whether what stays, and some phases beside it, take `capacity` bytes at most; the rest is not estimated."""
    return all(peak(estimate.parts(plan, some)) <= capacity for some in ((), *((phase,) for phase in phases)))


def _within(estimate: MemoryEstimate, plan: Plan, capacity: float) -> Plan:
    """The plan with sizes and recomputation changed alone."""
    if not fits(estimate, plan, capacity, ()):  # nor with any of these
        return plan
    if not fits(estimate, plan, capacity, ("update",)):
        plan = _halved(estimate, replace(plan, gradient_checkpointing=True), "micro_batch_tokens", "update", capacity)
    plan = _halved(estimate, plan, "micro_batch_tokens", "scoring", capacity)
    return fitting_cache(estimate, plan, capacity)


def fitting_cache(estimate: MemoryEstimate, plan: Plan, capacity: float) -> Plan:
    """The plan with places of its caches that bring decoding to `capacity` bytes, or near it."""
    if fits(estimate, plan, capacity, ("decoding",)):
        return plan
    used = max(plan.longest, estimate.slots(plan) * plan.longest)  # more places than the slots take change nothing
    plan = replace(plan, cache_tokens=min(plan.cache_tokens, used))
    return _halved(estimate, plan, "cache_tokens", "decoding", capacity)


def _halved(estimate: MemoryEstimate, plan: Plan, name: str, when: str, capacity: float) -> Plan:
    """The plan with a setting halved until it fits; a rollout's length is the least."""
    while getattr(plan, name) > plan.longest and not fits(estimate, plan, capacity, (when,)):
        plan = replace(plan, **{name: max(plan.longest, getattr(plan, name) // 2)})
    return plan


def ranks_that_fit(estimate: MemoryEstimate, plan: Plan, capacity: float) -> int | None:
    """The smallest power of two of ranks over which the run fits sharded, up to 64."""
    prompts, more = plan.prompts * plan.ranks, (n for n in (2, 4, 8, 16, 32, 64) if n > plan.ranks)
    plans = (replace(plan, ranks=n, sharded=True, prompts=max(1, prompts // n)) for n in more)
    return next((one.ranks for one in plans if fits(estimate, one, capacity)), None)
