"""Which settings make a run fit its memory, by estimating it under others."""

from __future__ import annotations

from dataclasses import replace

from mentor_pl.training.memory import MemoryEstimate, peak
from mentor_pl.training.plan import Plan


def fitting(estimate: MemoryEstimate, plan: Plan, capacity: float) -> Plan:
    """The plan with the settings changed, the cheapest first, that bring its peak to `capacity` bytes, or near it."""
    changed = _within(estimate, plan, capacity)
    if peak(estimate.parts(changed)) <= capacity or not (plan.cuda and estimate.has_expert):
        return changed
    offloaded = _within(estimate, replace(plan, expert_placement="offloaded"), capacity)
    return offloaded if peak(estimate.parts(offloaded)) <= capacity else changed


def _within(estimate: MemoryEstimate, plan: Plan, capacity: float) -> Plan:
    """The plan with sizes and recomputation changed alone."""
    if not _fits(estimate, plan, "always", capacity):  # nor with any of these
        return plan
    if not _fits(estimate, plan, "update", capacity):
        plan = _halved(estimate, replace(plan, gradient_checkpointing=True), "micro_batch_tokens", "update", capacity)
    plan = _halved(estimate, plan, "micro_batch_tokens", "scoring", capacity)
    return fitting_cache(estimate, plan, capacity)


def fitting_cache(estimate: MemoryEstimate, plan: Plan, capacity: float) -> Plan:
    """The plan with places of its caches that bring decoding to `capacity` bytes, or near it."""
    if _fits(estimate, plan, "decoding", capacity):
        return plan
    used = max(plan.longest, estimate.slots(plan) * plan.longest)  # more places than the slots take change nothing
    plan = replace(plan, cache_tokens=min(plan.cache_tokens, used))
    return _halved(estimate, plan, "cache_tokens", "decoding", capacity)


def _fits(estimate: MemoryEstimate, plan: Plan, when: str, capacity: float) -> bool:
    return peak([part for part in estimate.parts(plan) if part.when in ("always", when)]) <= capacity


def _halved(estimate: MemoryEstimate, plan: Plan, name: str, when: str, capacity: float) -> Plan:
    """The plan with a setting halved until it fits; a rollout's length is the least."""
    while getattr(plan, name) > plan.longest and not _fits(estimate, plan, when, capacity):
        plan = replace(plan, **{name: max(plan.longest, getattr(plan, name) // 2)})
    return plan


def ranks_that_fit(estimate: MemoryEstimate, plan: Plan, capacity: float) -> int | None:
    """The smallest power of two of ranks over which the run fits sharded, up to 64."""
    prompts, more = plan.prompts * plan.ranks, (n for n in (2, 4, 8, 16, 32, 64) if n > plan.ranks)
    plans = (replace(plan, ranks=n, sharded=True, prompts=max(1, prompts // n)) for n in more)
    return next((one.ranks for one in plans if peak(estimate.parts(one)) <= capacity), None)
