"""The loader of rollouts: sized, with its place as state."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mentor_pl.types import Rollouts


class RolloutLoader:
    """A sized, stateful iterable of rollout batches.

    Sized, because Lightning fetches one batch ahead from a loader without length, and rollouts would then come from
    weights one step old. Its state is the number of batches produced.

    Args:
        produce: makes the rollouts of a step.
        steps: batches of the whole run, which is one Lightning epoch.
    """

    def __init__(self, produce: Callable[[int], Rollouts], steps: int) -> None:
        self.produce, self.steps, self.step = produce, steps, 0

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Rollouts]:
        while self.step < self.steps:
            rollouts = self.produce(self.step)
            self.step += 1
            yield rollouts

    def state_dict(self) -> dict[str, int]:
        return {"step": self.step}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.step = int(state["step"])


def check_current(rollouts: Rollouts, updates: int) -> None:
    """Stop a run whose policy has seen more optimizer steps, `updates`, than the one that sampled the rollouts.

    Raises:
        RuntimeError: then.
    """
    if rollouts.policy_updates != updates:
        raise RuntimeError(
            f"rollouts of step {rollouts.step} were sampled after {rollouts.policy_updates} optimizer steps, but "
            f"the policy has seen {updates}: the loader must be sized, so that nothing is fetched ahead"
        )
