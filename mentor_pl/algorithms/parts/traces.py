"""Which of a problem's traces a method learns from, where it has several.

    Shortest   the fewest tokens
    Random     each alike
    Likeliest  the greatest mean log π_θ of its tokens: what the policy is nearest to saying itself
    Mix        one of these, drawn for each problem

Draws are keyed by seed, step and problem: neither the number of ranks nor the problems beside it decide.

Shapes: P problems.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

from mentor_pl.algorithms.base import Step
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Origin, Prompt, Row, Trace

_TRACE, _SELECTION = 1, 2  # salts of the draws


class TraceSelection(ABC):
    """One trace of each problem."""

    @abstractmethod
    def select(self, step: Step, prompts: Sequence[Prompt]) -> list[Trace | None]:
        """A trace of each of the `prompts` [P]; None for one that has none."""


class Shortest(TraceSelection):
    """The one with the fewest tokens; of equals the first."""

    def select(self, step: Step, prompts: Sequence[Prompt]) -> list[Trace | None]:
        return [min(prompt.traces, key=len, default=None) for prompt in prompts]


class Random(TraceSelection):
    """Any, drawn anew at each step."""

    def select(self, step: Step, prompts: Sequence[Prompt]) -> list[Trace | None]:
        return [
            prompt.traces[math.ceil(step.uniform(prompt, _TRACE) * len(prompt.traces)) - 1] if prompt.traces else None
            for prompt in prompts
        ]


class Likeliest(TraceSelection):
    """The one with the greatest mean log π_θ over its tokens; the policy reads all traces of the step at once."""

    def select(self, step: Step, prompts: Sequence[Prompt]) -> list[Trace | None]:
        rows = [
            Row(prompt, prompt.token_ids, number, Origin.DEMONSTRATION, trace, complete=True)
            for prompt in prompts
            for number, trace in enumerate(prompt.traces)
        ]
        values = iter(step.likelihoods(rows).tolist())
        likelihoods = [{trace: next(values) for trace in prompt.traces} for prompt in prompts]
        return [max(theirs, key=theirs.__getitem__, default=None) for theirs in likelihoods]


class Mix(TraceSelection):
    """Another selection for each problem and step, drawn by weight.

    Args:
        selections: those to choose from.
        weights: how often each is taken, beside the others; by default all alike.

    Raises:
        UsageError: for no selections, or weights that are not one for each and positive.
    """

    def __init__(self, selections: list[TraceSelection], weights: list[float] | None = None) -> None:
        weights = [1.0] * len(selections) if weights is None else weights
        if not selections or len(weights) != len(selections):
            raise UsageError(
                f"a mix of {len(selections)} trace selections has {len(weights)} weights: give one selection at least, "
                "and a weight for each"
            )
        for weight in weights:
            check("a weight of a mix of trace selections", weight, above=0)
        self.selections, self.weights = selections, weights

    def select(self, step: Step, prompts: Sequence[Prompt]) -> list[Trace | None]:
        chosen = [self._place(step.uniform(prompt, _SELECTION)) for prompt in prompts]
        found: dict[int, Trace | None] = {}
        for place, selection in enumerate(self.selections):
            theirs = [prompt for prompt, its in zip(prompts, chosen, strict=True) if its == place]
            traces = selection.select(step, theirs)
            found |= {prompt.index: trace for prompt, trace in zip(theirs, traces, strict=True)}
        return [found[prompt.index] for prompt in prompts]

    def _place(self, drawn: float) -> int:
        """The selection whose part of (0, 1] `drawn` lies in."""
        left = drawn * sum(self.weights)
        for place, weight in enumerate(self.weights):
            left -= weight
            if left <= 0:
                return place
        return len(self.weights) - 1  # rounding
