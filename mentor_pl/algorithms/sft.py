"""SFT (behaviour cloning): the next-token loss on an expert's traces, and no rollouts of the policy.

    loss = mean over the tokens of the traces of −log π_θ(y_t)

One trace of each problem at a step. It is graded, as any response is, for the log alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mentor_pl.algorithms.base import Algorithm, Rounds, Step, given_rows
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.nll import NegativeLogLikelihood
from mentor_pl.algorithms.parts.traces import Random, TraceSelection
from mentor_pl.types import Rollouts


class SFT(Algorithm):
    """Behaviour cloning; problems without a trace are left out.

    Args:
        selection: which trace; by default any, so that all of a problem's take part in time.
    """

    uses_traces = True
    requires_traces = True

    def __init__(self, selection: TraceSelection | None = None) -> None:
        self.selection = selection if selection is not None else Random()

    def rounds(self, step: Step) -> Rounds:
        yield given_rows(step.prompts, self.selection.select(step, step.prompts), number=0)

    def advantages(self, rollouts: Rollouts) -> Tensor:
        return torch.zeros_like(rollouts.rewards)

    def terms(self) -> Sequence[Term]:
        return [NegativeLogLikelihood()]
