"""What a method is: which rollouts it asks for, what they are worth, and what is minimised over their tokens.

    rounds      rows to be sampled, round after round; what becomes of one round may decide the next
    advantages  rewards -> A, one for each rollout or each token
    terms       the loss, Σ coefficient · Σ tokens / a global weight of the term's own

One file is one method; the trainer knows none of them. A method of one's own is a class in a file of one's own, named
in YAML as `model.algorithm`.

Shapes: N rollouts of a step, n of a round, T response tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.types import Prompt, Rollouts, Row


class Need(Enum):
    """What a method's terms read of each response token beyond what sampling keeps; one scoring pass each."""

    EXPERT_LOGPROBS = "expert_logprobs"  # log π*
    REFERENCE_LOGPROBS = "reference_logprobs"  # log π_ref, of the policy that the run started from


@dataclass(frozen=True)
class Graded:
    """What became of a round."""

    rows: Sequence[Row]  # [n], as they were asked for
    lengths: Tensor  # [n] int64, response tokens, on the CPU
    entropies: Tensor  # [·] float32, H_t in nats of the sampled tokens of policy rows, over all ranks
    wait: Callable[[], Tensor]  # waits for the grader

    @cached_property
    def rewards(self) -> Tensor:
        """[n] float32, on the CPU; NaN where a row is not graded.

        Grading goes on beside the next round where a method does not ask for them.
        """
        return self.wait()


class Algorithm(ABC):
    """A method.

    Attributes:
        needs: what is scored for the terms once a step's rollouts are complete.
        blend: the law of the rows of `Origin.MIXTURE`; none for methods without such rows.
        uses_alpha: whether the weight α means anything to the method.
    """

    needs: frozenset[Need] = frozenset()
    blend: Blend | None = None
    uses_alpha: bool = False

    @property
    def uses_expert(self) -> bool:
        """Whether a frozen expert must be loaded."""
        return self.blend is not None or Need.EXPERT_LOGPROBS in self.needs

    @abstractmethod
    def rounds(
        self, prompts: Sequence[Prompt], alpha: float, draw: Callable[[int], list[Prompt]]
    ) -> Generator[list[Row], Graded, None]:
        """Yield the rows of a round; what `yield` returns is what became of them.

        Every rank runs this on its own prompts. Rounds are collective: a rank that is done takes part without rows
        until all are, so ranks may ask for different numbers of rounds and rows.

        Args:
            prompts: this rank's share of the step's problems.
            alpha: weight of what the expert teaches.
            draw: further problems of this rank, as many as are asked for, none of them twice within a step.
        """

    @abstractmethod
    def advantages(self, rollouts: Rollouts) -> Tensor:
        """A of each rollout [N] or each response token [N, T], float32.

        Asked on every rank once a step, with the graded rollouts alone: groups may be smaller than they were asked for,
        or missing, and on one rank there may be no rollouts at all.
        """

    @abstractmethod
    def terms(self) -> Sequence[Term]:
        """What is minimised."""

    def train_mask(self, rollouts: Rollouts) -> Tensor:
        """Which response tokens are trained on, [N, T] bool: by default all."""
        return rollouts.mask

    def state_dict(self) -> dict[str, Any]:
        """What must survive in a checkpoint: by default the blend's state."""
        return self.blend.state_dict() if self.blend is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if self.blend is not None:
            self.blend.load_state_dict(state)


def advantages_of(algorithm: Algorithm, rollouts: Rollouts) -> Tensor:
    """A of all rollouts, [N] or [N, T]: 0 where one is not graded, which counts in no statistics of the others."""
    graded = rollouts.graded
    known = algorithm.advantages(rollouts if graded.all() else rollouts.only(graded))
    advantages = known.new_zeros(len(rollouts), *known.shape[1:])
    advantages[graded] = known
    return advantages


def policy_rows(prompts: Sequence[Prompt], count: int) -> list[Row]:
    """`count` rollouts of the policy itself for each prompt, numbered from 0."""
    return [Row(prompt, prompt.token_ids, number) for prompt in prompts for number in range(count)]
