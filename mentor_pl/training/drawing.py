"""Which problems a step is about: its own and further ones, in orders that seed and step decide alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice

import torch

from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt


def generator(seed: int, number: int) -> torch.Generator:
    """Random numbers of their own for each epoch or step."""
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)


def prompts_of_step(step: int, problems: int, per_step: int, seed: int) -> list[int]:
    """Places in the data set of the global batch of `step`, without repetition.

    An epoch is a permutation keyed by (seed, epoch); what does not fill a last batch waits for the next epoch.
    """
    epoch, batch = divmod(step, problems // per_step)
    order = torch.randperm(problems, generator=generator(seed, epoch))
    return order[batch * per_step : (batch + 1) * per_step].tolist()


class Further:
    """Hands out problems beyond a step's own, each once: those that are left, in an order keyed by the step.

    Args:
        prompts: of the data set.
        own: places of the step's own.
        seed, step: key of the order.
        rank, ranks: problems are dealt to ranks in turn.
    """

    def __init__(
        self, prompts: Sequence[Prompt], own: Collection[int], *, seed: int, step: int, rank: int, ranks: int
    ) -> None:
        order = torch.randperm(len(prompts), generator=generator(seed, -1 - step)).tolist()
        taken = set(own)
        self.step = step
        self.left = iter([prompts[i] for i in order if i not in taken][rank::ranks])

    def up_to(self, count: int) -> list[Prompt]:
        """So many, or as many as are left."""
        return list(islice(self.left, count))

    def __call__(self, count: int) -> list[Prompt]:
        """So many.

        Raises:
            UsageError: where fewer are left.
        """
        drawn = self.up_to(count)
        if len(drawn) < count:
            raise UsageError(
                f"step {self.step}: the algorithm draws more problems than data.train has left for a step: lower "
                "data.prompts_per_step or give more problems"
            )
        return drawn
