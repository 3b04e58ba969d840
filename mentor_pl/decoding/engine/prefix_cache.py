"""Which prompt lies in which slot: a prompt is read once for all rollouts that share it, then copied.

A slot's first places hold every token of a prompt but the last, with which its rollout enters.

Shapes: N rollouts of the call, R slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mentor_pl.decoding.engine.model_runner import ModelRunner


class Prefixes:
    """The prompts of N rollouts, and what R slots hold of them.

    Args:
        prompts: [N] lists of token ids.
        slots: R.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], slots: int) -> None:
        self.prompts = prompts
        numbers: dict[tuple[int, ...], int] = {}  # equal prompts have equal numbers
        self.numbers = [numbers.setdefault(tuple(prompt), len(numbers)) for prompt in prompts]
        self.held = [-1] * slots  # number of the prompt in a slot

    def assignment(self, free: Sequence[int], requests: Sequence[int]) -> dict[int, int]:
        """Slot -> rollout, so that a rollout whose prompt lies in a free slot already gets that slot."""
        holding: dict[int, list[int]] = {}
        for slot in reversed(free):
            holding.setdefault(self.held[slot], []).append(slot)
        assignment: dict[int, int] = {}
        others = []
        for rollout in requests:
            slots = holding.get(self.numbers[rollout])
            if slots:
                assignment[slots.pop()] = rollout
            else:
                others.append(rollout)
        return assignment | dict(zip((slot for slot in free if slot not in assignment), others, strict=False))

    def fill(self, assignment: Mapping[int, int], runners: Sequence[ModelRunner]) -> list[int]:
        """Have the assigned prompts in their slots: it lies there, is copied, or read; tokens read by each runner."""
        kept = {slot for slot, rollout in assignment.items() if self.held[slot] == self.numbers[rollout]}
        sources = {number: slot for slot, number in enumerate(self.held) if slot in kept or slot not in assignment}
        wanting = {slot: rollout for slot, rollout in assignment.items() if slot not in kept}
        for slot, rollout in wanting.items():
            self.held[slot] = self.numbers[rollout]
        return [self._read(runner, wanting, dict(sources)) for runner in runners]

    def catch_up(self, runner: ModelRunner, rollouts: Sequence[int]) -> int:
        """Have `runner`, which has read nothing so far, hold the prompts of the rollouts in the first slots."""
        return self._read(runner, dict(enumerate(rollouts)), {})

    def _read(self, runner: ModelRunner, wanting: Mapping[int, int], sources: dict[int, int]) -> int:
        """Read or copy prompts into slots -> rollouts; `sources`, prompt's number -> slot, gains what is read."""
        copies: dict[int, list[int]] = {}  # slot that holds a prompt -> slots that want a copy
        unread: dict[int, Sequence[int]] = {}  # slot -> prompt
        for slot, rollout in wanting.items():
            source = sources.setdefault(self.numbers[rollout], slot)
            if source == slot:
                unread[slot] = self.prompts[rollout][:-1]
            else:
                copies.setdefault(source, []).append(slot)
        runner.prefill([list(prompt) for prompt in unread.values()], list(unread))
        for source, targets in copies.items():
            runner.cache.copy(source, targets, len(self.prompts[wanting[targets[0]]]) - 1)
        return sum(map(len, unread.values()))
