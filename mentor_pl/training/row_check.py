"""What an algorithm cannot ask for, seen before anything of it is sampled."""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin, Prompt, Row


class RowCheck:
    """The rows of a step, round by round.

    Args:
        algorithm: who asks.
        max_tokens: that a response may have.
    """

    def __init__(self, algorithm: Algorithm, max_tokens: int) -> None:
        self.name, self.blended, self.max_tokens = type(algorithm).__name__, algorithm.blend is not None, max_tokens
        self.seen: set[tuple[int, int]] = set()
        self.learned = False

    def __call__(self, rows: list[Row] | None) -> list[Row] | None:
        """The rows of a round as they are; None, where there is no further round, likewise.

        Raises:
            UsageError: for two rows of one problem with one number, a mixture row without a blend, and given tokens
                that leave nothing to be sampled, or that nobody goes on from.
        """
        for row in rows or ():
            which = f"rollout {row.number} of problem {row.prompt.index}"
            if (row.prompt.index, row.number) in self.seen:
                raise UsageError(
                    f"algorithm {self.name} asked twice for {which}, and both would be sampled with the same noise: "
                    "give the rows of a problem different numbers"
                )
            if row.origin == Origin.MIXTURE and not self.blended:
                raise UsageError(
                    f"algorithm {self.name} asked for a mixture rollout, but has no blend: set its `blend`"
                )
            if row.origin == Origin.DEMONSTRATION and not row.complete:
                raise UsageError(
                    f"algorithm {self.name} asked for {which} as a demonstration that is not complete, but nobody "
                    "samples its rest: set complete to true, or origin to who goes on"
                )
            if row.complete and not row.given:
                raise UsageError(f"algorithm {self.name} asked for {which} complete, but without tokens: give some")
            if not row.complete and len(row.given) >= self.max_tokens:
                raise UsageError(
                    f"algorithm {self.name} gave {len(row.given)} tokens of {which}, but a response has at most "
                    f"{self.max_tokens}: give fewer, so that something is left to be sampled"
                )
            self.seen.add((row.prompt.index, row.number))
            self.learned |= not row.probe
        return rows

    def end(self, prompts: Sequence[Prompt]) -> None:
        """The last round is over.

        Raises:
            UsageError: where there are prompts, and no row for anybody to learn from.
        """
        if prompts and not self.learned:
            raise UsageError(
                f"algorithm {self.name} asked for no rollouts: yield at least one row from `rounds` that is no probe"
            )
