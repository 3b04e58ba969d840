"""QuestA: GRPO on prompts that carry the first part of an expert's solution as a hint (arXiv 2507.13266).

    context = problem, "## Hint: Partial Solution", the first share · α · tokens (rounded) of the trace as text
    A, loss   those of GRPO on what the policy answers to it

The published curriculum, 50 % and then 25 % of the solution, is `share` 0.5 with α 1, then ½. The hint is no part of
the response: it is neither graded nor trained on, and benchmarks never see one. A hint under 10 characters is left out.
Where the hinted prompt and a response would exceed what the model attends to, the hint ends earlier.

A trace that the reward does not call right gives no hint; the paper drops such items, here they are GRPO's. Derived:
the paper cuts by the solution's length, here by its tokens; the halves of a character that falls apart at the cut are
left out, and a word may end there, as any text of a context may. The step of the second stage is ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mentor_pl.algorithms.base import Rounds, Step, given_rows
from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.schedules import AlphaSchedule, Stages
from mentor_pl.algorithms.parts.traces import Random, TraceSelection
from mentor_pl.runtime.ranges import check
from mentor_pl.types import Prompt, Row, Trace

HEADING: Final = "\n\n## Hint: Partial Solution\n\n"
MIN_CHARACTERS: Final = 10


class QuestA(OnPolicy):
    """On-policy RL with half-solution hints.

    Args:
        group_size: G, rollouts of each problem; at least 2.
        share: of the trace that is the hint while α is 1.
        schedule: of α, by default 1 and from step 60 on ½; `callbacks.AlphaDecay` moves it.
        selection: which trace; by default any.
        loss: by default `ClippedSurrogate`.
        eps: added to the standard deviation.

    Raises:
        UsageError: for a group below 2, a share outside [0, 1], or a negative eps.
    """

    uses_alpha = True
    uses_traces = True

    def __init__(
        self,
        group_size: int = 8,
        share: float = 0.5,
        schedule: AlphaSchedule | None = None,
        selection: TraceSelection | None = None,
        loss: Term | None = None,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(group_size, loss, eps)
        check("algorithm share", share, at_least=0, at_most=1, because="it is a share of the trace")
        self.share = share
        self.schedule = schedule if schedule is not None else Stages([1.0, 0.5], [0, 60])
        self.selection = selection if selection is not None else Random()

    def rounds(self, step: Step) -> Rounds:
        share = min(1.0, self.share * step.alpha)
        traces = self.selection.select(step, step.prompts) if share else [None] * len(step.prompts)
        right: set[int] = set()
        if share:
            graded = yield [replace(row, probe=True) for row in given_rows(step.prompts, traces, self.group_size)]
            right = {index for index, rate in graded.success_rates().items() if rate == 1}
        rows = []
        for prompt, trace in zip(step.prompts, traces, strict=True):
            hint = trace is not None and prompt.index in right
            context = _hinted(step, prompt, trace, share) if trace and hint else prompt.token_ids
            rows += [Row(prompt, context, number) for number in range(self.group_size)]
        yield rows


def _hinted(step: Step, prompt: Prompt, trace: Trace, share: float) -> tuple[int, ...]:
    """The prompt with the first `share` of the trace as a hint, or with less where that is too long, or the prompt."""
    count = round(share * len(trace))
    while True:
        hint = step.text(trace[:count]).rstrip("\N{REPLACEMENT CHARACTER}").strip() if count > 0 else ""
        if len(hint) < MIN_CHARACTERS:
            return prompt.token_ids
        context = step.render(prompt.problem + HEADING + hint)
        if len(context) <= step.max_context:
            return context
        count -= len(context) - step.max_context  # text that is tokenised anew may still be too long
