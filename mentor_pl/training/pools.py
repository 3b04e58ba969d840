"""Pools by difficulty: a step's problems are drawn from easy, normal and hard ones in fixed shares.

A problem's pool is told by its success share: the mean of the part `outcome` of the grades of its last rollouts that
are the policy's from the first token on, or, where there is none, of their rewards as a share of the range; a hint in
the prompt helps them (QuestA). Problems that have not been seen are normal.

What holds: a step has no problem twice; which ones it has depends on seed, step and what earlier steps found, not on
the number of processes. There are no epochs: a problem may come again before others have been seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mentor_pl.runtime.collectives import all_objects
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Origin, Prompt, Rollouts

POOLS = ("easy", "normal", "hard")


@dataclass(frozen=True)
class DifficultyPools:
    """Which problems are easy or hard, and how many of them a step has.

    Args:
        easy_above: success share from which a problem is easy.
        hard_below: success share up to which a problem is hard.
        easy: share of easy problems in a step.
        hard: share of hard ones; the others are normal.

    Raises:
        UsageError: for shares that are none, bounds that cross, or shares above 1 together.
    """

    easy_above: float = 0.8
    hard_below: float = 0.2
    easy: float = 0.1
    hard: float = 0.2

    def __post_init__(self) -> None:
        share = "a share lies between 0 and 1"
        check("data.pools.easy_above", self.easy_above, at_least=0, at_most=1, because=share)
        below = f"a problem is not both, and easy_above is {self.easy_above}"
        check("data.pools.hard_below", self.hard_below, at_least=0, below=self.easy_above, because=below)
        check("data.pools.easy", self.easy, at_least=0, at_most=1, because=share)
        rest = round(1 - self.easy, 9)
        check("data.pools.hard", self.hard, at_least=0, at_most=rest, because=f"data.pools.easy is {self.easy}")

    def pool(self, share: float | None) -> str:
        """The pool of a problem with this success share; None: not seen."""
        if share is None or self.hard_below < share < self.easy_above:
            return "normal"
        return "easy" if share >= self.easy_above else "hard"

    def places(self, shares: Sequence[float | None], count: int, generator: torch.Generator) -> list[int]:
        """Places of `count` problems, each once; a pool that is too small is filled from normal, then the others.

        Args:
            shares: success share of each problem of the data set.
            count: of the step.
            generator: of the order.
        """
        order = torch.randperm(len(shares), generator=generator).tolist()
        pools = {name: [place for place in order if self.pool(shares[place]) == name] for name in POOLS}
        sizes = {"easy": int(self.easy * count + 1e-9), "hard": int(self.hard * count + 1e-9)}
        chosen = [place for name, size in sizes.items() for place in pools[name][:size]]
        others = pools["normal"] + [place for name, size in sizes.items() for place in pools[name][size:]]
        taken = {*chosen, *others[: count - len(chosen)]}
        return [place for place in order if place in taken]

    def counts(self, shares: Mapping[int, float], prompts: Sequence[Prompt]) -> dict[str, int]:
        """How many of a rank's problems are of each pool, for the log."""
        pools = [self.pool(shares.get(prompt.index)) for prompt in prompts]
        return {f"problems_{name}": pools.count(name) for name in POOLS}


def success_shares(rollouts: Rollouts, lowest: float) -> dict[int, float]:
    """Problem -> success share of its graded rollouts by the policy alone, over all ranks; call on every rank.

    Args:
        rollouts: of this rank.
        lowest: of the rewards.
    """
    assert rollouts.problems is not None
    scaled = (rollouts.rewards - lowest) / rollouts.reward_range
    successes = rollouts.reward_parts.get("outcome", scaled)
    alone = (rollouts.origin == Origin.POLICY) & ~rollouts.given.any(1)
    rows = rollouts.graded & alone
    problems = rollouts.problems[rows]
    ours = {int(index): float(successes[rows][problems == index].mean()) for index in problems.unique()}
    return {index: share for theirs in all_objects(ours) for index, share in theirs.items()}
