"""The loader of rollouts: sized, with its place as state."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mentor_pl.types import Rollouts


def check_current(rollouts: Rollouts, updates: int) -> None:
    """See that no optimizer step came between sampling and now, when the policy has seen `updates`.

    Raises:
        RuntimeError: where one did.
    """
    if rollouts.policy_updates != updates:
        raise RuntimeError(
            f"rollouts of step {rollouts.step} were sampled after {rollouts.policy_updates} optimizer steps, but the "
            f"policy has seen {updates}: the loader must be sized, so that nothing is fetched ahead"
        )


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
