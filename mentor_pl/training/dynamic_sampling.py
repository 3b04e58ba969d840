"""Dynamic sampling: groups that teach nothing give their place to further problems. DAPO (arXiv 2503.14476), 3.2.

A group has no signal where the advantage of each of its trained tokens is 0, such as where all of its rewards are
equal. Such groups are dropped, as many further problems go through the algorithm's rounds, and so on, `max_draws` times
at most; places that are empty even then are filled with groups without signal. So a batch has as many groups as ever.

Departure: the paper draws until the batch is full. Every draw is a step's sampling anew: a gate takes γ_p from the
policy rows of the draw alone, and one that looks back (`source: previous`) looks back to the draw before. Draws are
collective: a rank that needs none takes part without rows. Which problems are drawn is keyed by the step, and dealt to
ranks in turn: another number of processes draws others.

Shapes: N rollouts, P groups of a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from mentor_pl.algorithms.base import Algorithm, advantages_of
from mentor_pl.runtime.collectives import all_max
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check
from mentor_pl.training.assemble import joined_rollouts
from mentor_pl.training.groups import have_signal
from mentor_pl.types import Prompt, Rollouts


@dataclass(frozen=True)
class DynamicSampling:
    """Draw further problems in place of those without signal.

    Args:
        max_draws: how often in a step, at most.

    Raises:
        UsageError: for a count below 1.
    """

    max_draws: int = 3

    def __post_init__(self) -> None:
        check(
            "data.dynamic_sampling.max_draws", self.max_draws, at_least=1, otherwise="or set dynamic_sampling to null"
        )

    def check(self, algorithm: Algorithm) -> None:
        """Refuse methods whose every group has signal.

        Raises:
            UsageError: where a term learns from tokens without advantage.
        """
        for term in algorithm.all_terms:
            if not term.skips_zero_advantage:
                raise UsageError(
                    f"data.dynamic_sampling drops groups without advantage, but the term {term.name} of "
                    f"{type(algorithm).__name__} learns from every token: set it to null"
                )

    def __call__(
        self,
        sample: Callable[[Sequence[Prompt]], Rollouts],
        prompts: Sequence[Prompt],
        draw: Callable[[int], list[Prompt]],
        algorithm: Algorithm,
    ) -> Rollouts:
        """As many groups as the first draw has, those with signal before others; call on every rank.

        Args:
            sample: the algorithm's rounds for some problems, collective.
            prompts: this rank's share of the step's problems.
            draw: further problems, as many as are asked for or are left.
            algorithm: whose advantages tell what has signal.
        """
        draws = [sample(prompts)]
        signals = [have_signal(draws[0], advantages_of(algorithm, draws[0]))]  # [P] bool each
        wanted = len(signals[0])
        for _ in range(self.max_draws):
            missing = wanted - sum(int(signal.sum()) for signal in signals)
            further = draw(max(0, missing))
            if not int(all_max(torch.tensor(len(further), device=draws[0].rewards.device))):
                break
            draws.append(sample(further))
            signals.append(have_signal(draws[-1], advantages_of(algorithm, draws[-1])))
        signal = torch.cat(signals)
        taken = (~signal).long().argsort(stable=True)[:wanted]  # with signal first, in the order they were drawn in
        kept = torch.zeros_like(signal).index_fill(0, taken, True).split([len(some) for some in signals])
        groups = [group.unique(return_inverse=True)[1] for group in (part.group for part in draws)]
        rollouts = joined_rollouts([one.only(some[g]) for one, some, g in zip(draws, kept, groups, strict=True)])
        counts = {
            "groups_dropped": len(signal) - wanted,
            "groups_drawn": len(signal) - len(signals[0]),
            "groups_without_signal": int((~signal[taken]).sum()),
        }
        return replace(rollouts, counts=counts)
