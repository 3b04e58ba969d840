"""LUFFY: seven rollouts of the policy and one whole trace of an expert in a group (arXiv 2504.14945).

    A = R − mean(R) over the whole group, the trace included; not divided by a deviation
    sampled tokens   −A · r,      r = π_θ / π_old, unclipped
    given tokens     −A · f(p),   f(p) = p / (p + γ),   p = π_θ(y_t),   γ = 0.1
    loss = Σ tokens / (rollouts · max_new_tokens) − c · mean over tokens of H_t,   c = 0.001

The settings are those of the authors' training script. The trace ends in the policy's stop token and is graded as any
rollout is. A problem without a trace gets a group of policy rollouts alone. Derived, since only summarised: the bonus
counts the trace's tokens too.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from mentor_pl.algorithms.base import Rounds, Step, given_rows, policy_rows
from mentor_pl.algorithms.on_policy import OnPolicy
from mentor_pl.algorithms.parts.advantages import centred
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.entropy import EntropyBonus
from mentor_pl.algorithms.parts.losses.shaped import ShapedSurrogate
from mentor_pl.algorithms.parts.traces import Random, TraceSelection
from mentor_pl.types import Rollouts


class Luffy(OnPolicy):
    """A trace among the policy's rollouts.

    Args:
        group_size: G, rollouts of each problem, the trace included; at least 2.
        selection: which trace; by default any, so that all of a problem's take part in time.
        shaping: γ.
        entropy: c, weight of the entropy bonus.

    Raises:
        UsageError: for a group below 2, a γ that is not positive, or a negative c.
    """

    uses_traces = True

    def __init__(
        self,
        group_size: int = 8,
        selection: TraceSelection | None = None,
        shaping: float = 0.1,
        entropy: float = 0.001,
    ) -> None:
        super().__init__(group_size, ShapedSurrogate(shaping))
        self.selection = selection if selection is not None else Random()
        self.bonus = EntropyBonus(entropy)

    def rounds(self, step: Step) -> Rounds:
        traces = self.selection.select(step, step.prompts)
        rows = []
        for prompt, trace in zip(step.prompts, traces, strict=True):
            rows += policy_rows([prompt], self.group_size - (trace is not None))
            rows += given_rows([prompt], [trace], number=self.group_size - 1)
        yield rows

    def advantages(self, rollouts: Rollouts) -> Tensor:
        return centred(rollouts.rewards, rollouts.group)

    def terms(self) -> Sequence[Term]:
        return [self.loss, self.bonus]
