"""Which prompt lies in which slot: a prompt is read once for all rollouts that share it.

A slot's first places hold every token of a prompt but the last, with which its rollout enters. Slots with the same
prompt share the pages that it fills and have a copy of its last, unfilled one.

Shapes: N rollouts of the call, R slots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.pages import PageTable


class Prefixes:
    """The prompts of N rollouts, and what R slots hold of them.

    Args:
        prompts: [N] lists of token ids.
        pages: of R slots.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], pages: PageTable) -> None:
        self.prompts, self.pages = prompts, pages
        numbers: dict[tuple[int, ...], int] = {}  # equal prompts have equal numbers
        self.numbers = [numbers.setdefault(tuple(prompt), len(numbers)) for prompt in prompts]
        self.held = [-1] * pages.slots  # number of the prompt in a slot

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
        first = dict(sources)
        for slot, rollout in wanting.items():
            source, places = first.setdefault(self.numbers[rollout], slot), len(self.prompts[rollout]) - 1
            self.drop(slot)
            self.held[slot] = self.numbers[rollout]
            if source != slot:
                self.pages.share(source, slot, places)
            self.pages.reserve(slot, places)
        return [self._read(runner, wanting, dict(sources)) for runner in runners]

    def catch_up(self, runner: ModelRunner, rollouts: Sequence[int]) -> int:
        """Have `runner`, which has read nothing so far, hold the prompts of the rollouts in the first slots."""
        return self._read(runner, dict(enumerate(rollouts)), {})

    def affordable(self, requests: Sequence[tuple[int, int, int]], free: Sequence[int], used: int) -> int:
        """How many of `requests`, (slot, rollout, tokens it has), find pages; one at least where no row is in use.

        A page for each row stays free, so that none is preempted at once, where pages can run out at all.

        Args:
            free: slots that no row is in.
            used: rows in use.
        """
        pages, room = self.pages, len(self.pages.free)
        held = {number for slot, number in enumerate(self.held) if slot not in free}
        for count, (slot, rollout, places) in enumerate(requests):
            number, prompt = self.numbers[rollout], len(self.prompts[rollout])
            kept = len(pages.held[slot]) if self.held[slot] == number else 0
            shared = (prompt - 1) // pages.size if number in held else 0
            room -= pages.pages(prompt + places + 1) - max(kept, shared)
            if room < used + count and used + count and not pages.enough:
                return count
            held.add(number)
        return len(requests)

    def keep(self, slot: int, rollout: int) -> None:
        """The rollout in a slot has ended: its prompt alone stays."""
        self.pages.release(slot, len(self.prompts[rollout]) - 1)

    def drop(self, slot: int) -> None:
        """Nothing stays of what is in a slot."""
        self.held[slot] = -1
        self.pages.release(slot)

    def move(self, source: int, target: int) -> None:
        """Let what is in the slot `source` be in `target`, in whose place nothing stays."""
        self.drop(target)
        self.held[target], self.held[source] = self.held[source], -1
        self.pages.move(source, target)

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
