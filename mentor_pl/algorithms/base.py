"""What a method is: which rollouts it asks for, what they are worth, and what is minimised over their tokens.

    rounds      rows to be sampled, round after round; what becomes of one round may decide the next
    advantages  rewards -> A, one for each rollout or each token
    terms       the loss, Σ strength · Σ tokens / a global weight of the term's own

One file is one method; the trainer knows none of them. A method of one's own is a class in a file of one's own, named
in YAML as `model.algorithm`.

Shapes: N rollouts of a step, n of a round, T response tokens.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.blends import Blend
from mentor_pl.algorithms.parts.losses.base import Need, Term
from mentor_pl.algorithms.parts.schedules import AlphaSchedule, Cosine
from mentor_pl.runtime import noise
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import MAX_COUNT
from mentor_pl.types import Origin, Prompt, Rollouts, Row, Trace

_EXPERT = frozenset({Need.EXPERT_LOGPROBS, Need.CHOICE_LOGPROBS, Need.REVERSE_KL, Need.FORWARD_KL})


def _nothing(*_: Any) -> Any:
    raise NotImplementedError


@dataclass(frozen=True)
class Step:
    """What a method may ask of a step.

    Attributes:
        prompts: this rank's share of the step's problems; none where it merely takes part while others draw anew.
        alpha: weight of what the expert teaches.
        number: rollout batches before this one.
        seed: of the noise.
        draw: further problems of this rank, as many as are asked for, none of them twice within a step.
        render: from a problem's text, such as one with a hint, to the tokens that the policy reads.
        text: from response tokens to their text, without what ends it.
        max_context: tokens that the policy can read before a response of the greatest length.
        likelihoods: mean log π_θ of the given tokens of rows, [n] float32.
    """

    prompts: Sequence[Prompt]
    alpha: float = 1.0
    number: int = 0
    seed: int = 0
    draw: Callable[[int], list[Prompt]] = _nothing
    render: Callable[[str], tuple[int, ...]] = _nothing
    text: Callable[[Sequence[int]], str] = _nothing
    max_context: int = MAX_COUNT
    likelihoods: Callable[[Sequence[Row]], Tensor] = _nothing

    def uniform(self, prompt: Prompt, salt: int = 0) -> float:
        """A random number in (0, 1] that depends on seed, step, problem and `salt` alone."""
        key = noise.rollout_keys(self.seed, self.number, torch.tensor([prompt.index]), torch.tensor([-1 - salt]))
        return float(noise.uniform(key, torch.zeros_like(key), noise.DECISION))


@dataclass(frozen=True)
class Graded:
    """What became of a round."""

    rows: Sequence[Row]  # [n], as they were asked for
    lengths: Tensor  # [n] int64, response tokens, on the CPU
    entropies: Sequence[Tensor]  # [·] float32 of each rank, H_t in nats of the sampled tokens of its policy rows
    wait: Callable[[], tuple[Tensor, Tensor]]  # waits for the grader: `rewards` and `successes`

    @cached_property
    def _verdicts(self) -> tuple[Tensor, Tensor]:
        return self.wait()

    @property
    def rewards(self) -> Tensor:
        """[n] float32, on the CPU; NaN where a row is not graded.

        Grading goes on beside the next round where a method does not ask for them.
        """
        return self._verdicts[0]

    @property
    def successes(self) -> Tensor:
        """[n] bool, on the CPU: the grade's part `outcome` is 1, or where there is none the reward its greatest."""
        return self._verdicts[1]

    def success_rates(self) -> dict[int, float]:
        """By problem's index, the share of the round's graded rows that succeeded; nothing of a problem without any."""
        found: dict[int, list[float]] = {}
        for row, reward, success in zip(self.rows, self.rewards.tolist(), self.successes.tolist(), strict=True):
            if not math.isnan(reward):
                found.setdefault(row.prompt.index, []).append(success)
        return {index: sum(theirs) / len(theirs) for index, theirs in found.items()}


Rounds = Generator[list[Row], Graded, None]


class Algorithm(ABC):
    """A method.

    Attributes:
        blend: the law of the rows of `Origin.MIXTURE`; none for methods without such rows.
        uses_alpha: whether the weight α means anything to the method.
        uses_traces: whether it reads `Prompt.traces`.
        requires_traces: whether it can do nothing with a problem without any; such problems are then left out.
        drafter: who drafts mixture rows: the `policy`, or the policy as it was at the start (`initial`).
        schedule: how α falls where `callbacks.AlphaDecay` names no other.
        added: terms that the run adds to the method's own, such as `model.terms`.
    """

    blend: Blend | None = None
    uses_alpha: bool = False
    uses_traces: bool = False
    requires_traces: bool = False
    drafter: Literal["policy", "initial"] = "policy"
    schedule: AlphaSchedule = Cosine()
    added: Sequence[Term] = ()

    @abstractmethod
    def rounds(self, step: Step) -> Rounds:
        """Yield the rows of a round; what `yield` returns is what became of them.

        Every rank runs this on its own prompts. Rounds are collective: a rank that is done takes part without rows
        until all are, so ranks may ask for different numbers of rounds and rows, and for none in a round.
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
        """Which response tokens are trained on, [N, T] bool: by default all. Asked on every rank once a step."""
        return rollouts.mask

    def observe(self, rollouts: Rollouts) -> None:  # noqa: B027 (most need not learn)
        """Learn from a step's graded rollouts, once its advantages are known; called on every rank."""

    @property
    def all_terms(self) -> list[Term]:
        """The method's own terms and those that the run adds, without any that counts for nothing.

        Raises:
            UsageError: where none is left.
        """
        if not (found := [term for term in (*self.terms(), *self.added) if term.strength(1.0)]):
            raise UsageError(
                f"algorithm {type(self).__name__} minimises nothing, since the coefficients of its terms are 0: give "
                "one a coefficient"
            )
        return found

    @property
    def needs(self) -> frozenset[Need]:
        """What is read of each response token beyond what sampling keeps: by default what the terms need."""
        return frozenset[Need]().union(*(term.needs for term in self.all_terms))

    @property
    def uses_expert(self) -> bool:
        """Whether a frozen expert must be loaded."""
        return self.blend is not None or bool(self.needs & _EXPERT)

    def mixes(self, alpha: float) -> bool:
        """Whether a step at this α may have rows of the blend; by default where there is one."""
        return self.blend is not None

    def asks_expert(self, alpha: float) -> bool:
        """Whether a step at this α reads the expert: for its rows, what is scored of them, or a term of the loss."""
        read = frozenset[Need]().union(*(term.needs for term in self.all_terms if term.strength(alpha)))
        return self.mixes(alpha) or Need.EXPERT_LOGPROBS in self.needs or bool(read & _EXPERT)

    @property
    def notes(self) -> Sequence[str]:
        """What a run says of the method when it starts, a line each."""
        return ()

    @property
    def uses_reference(self) -> bool:
        """Whether the policy as it was at the start, or what `model.reference` names, must be loaded."""
        return self.drafter == "initial" or Need.REFERENCE_LOGPROBS in self.needs

    def state_dict(self) -> dict[str, Any]:
        """What must survive in a checkpoint: by default the blend's state."""
        return self.blend.state_dict() if self.blend is not None else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        if self.blend is not None:
            self.blend.load_state_dict(state)


def advantages_of(algorithm: Algorithm, rollouts: Rollouts) -> Tensor:
    """A of all rollouts, [N] or [N, T]: 0 where one is not graded, which counts in no statistics of the others."""
    known = algorithm.advantages(rollouts.only_graded)
    advantages = known.new_zeros(len(rollouts), *known.shape[1:])
    advantages[rollouts.graded] = known
    return advantages


def given_rows(prompts: Sequence[Prompt], traces: Sequence[Trace | None], number: int) -> list[Row]:
    """The traces themselves as rollouts `number`, of those problems that have one."""
    return [
        Row(prompt, prompt.token_ids, number, Origin.DEMONSTRATION, trace, complete=True)
        for prompt, trace in zip(prompts, traces, strict=True)
        if trace
    ]


def policy_rows(prompts: Sequence[Prompt], count: int, first: int = 0) -> list[Row]:
    """`count` rollouts of the policy itself for each prompt, numbered from `first`."""
    return [Row(prompt, prompt.token_ids, first + number) for prompt in prompts for number in range(count)]


def mixture_rows(prompts: Sequence[Prompt], count: int, first: int = 0) -> list[Row]:
    """`count` rollouts of the algorithm's blend, likewise."""
    return [replace(row, origin=Origin.MIXTURE) for row in policy_rows(prompts, count, first)]
