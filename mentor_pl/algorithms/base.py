"""The rollouts of one prompt: how many of which kind."""

from __future__ import annotations

from dataclasses import dataclass

from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class Group:
    """The rollouts of one prompt.

    Attributes:
        on_policy: N_on, sampled from π_θ; at least 2, since [10] divides by their standard deviation.
        mixed: N_mix, sampled from π_mix while α > 0.
        refill: once α is 0, draw the mixed rollouts' share from π_θ, so that a group keeps its size.

    Raises:
        UsageError: for counts out of range.
    """

    on_policy: int = 4
    mixed: int = 4
    refill: bool = True

    def __post_init__(self) -> None:
        if self.on_policy < 2:
            raise UsageError(
                f"group on_policy is {self.on_policy}, but advantages need the standard deviation of at least 2 "
                "on-policy rollouts: give 2 or more"
            )
        if self.mixed < 0:
            raise UsageError(f"group mixed is {self.mixed}, but it counts rollouts: give 0 or more")

    def sizes(self, alpha: float) -> tuple[int, int]:
        """(on-policy, mixed) rollouts per prompt under the weight α."""
        if alpha > 0:
            return self.on_policy, self.mixed
        return self.on_policy + (self.mixed if self.refill else 0), 0
