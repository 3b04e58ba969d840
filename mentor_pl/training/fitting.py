"""Which settings make a run fit its memory, by estimating it under others."""

from __future__ import annotations

from dataclasses import replace

from mentor_pl.training.memory import MemoryEstimate, peak
from mentor_pl.training.plan import Plan


def fitting(estimate: MemoryEstimate, plan: Plan, capacity: float) -> Plan:
    """The plan with the settings changed, the cheapest first, that bring its peak to `capacity` bytes, or near it."""
    least = plan.longest

    def fits(when: str, changed: Plan) -> bool:
        return peak([part for part in estimate.parts(changed) if part.when in ("always", when)]) <= capacity

    def halved(changed: Plan, name: str, when: str) -> Plan:
        while getattr(changed, name) > least and not fits(when, changed):
            changed = replace(changed, **{name: max(least, getattr(changed, name) // 2)})
        return changed

    if not fits("always", plan):  # nor with any of these
        return plan
    if not fits("update", plan):
        plan = halved(replace(plan, gradient_checkpointing=True), "micro_batch_tokens", "update")
    plan = halved(plan, "micro_batch_tokens", "scoring")
    if not fits("decoding", plan):  # more places than the slots take change nothing
        used = max(least, estimate.slots(plan) * least)
        plan = halved(replace(plan, cache_tokens=min(plan.cache_tokens, used)), "cache_tokens", "decoding")
    return plan


def ranks_that_fit(estimate: MemoryEstimate, plan: Plan, capacity: float) -> int | None:
    """The smallest power of two of ranks over which the run fits sharded, up to 64."""
    prompts, more = plan.prompts * plan.ranks, (n for n in (2, 4, 8, 16, 32, 64) if n > plan.ranks)
    plans = (replace(plan, ranks=n, sharded=True, prompts=max(1, prompts // n)) for n in more)
    return next((one.ranks for one in plans if peak(estimate.parts(one)) <= capacity), None)
