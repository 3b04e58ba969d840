"""Which rollout lives in which slot: assigned while there are pages, preempted where they run out, moved into gaps.

The rows in use are always the first slots, so that a forward over them takes no subset. Rollouts are assigned in their
order. Where pages run out, the newest row gives up its own: it keeps its tokens, waits before all others, and is read
again when there is room.

Shapes: N rollouts of the call, R slots.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.engine.prefix_cache import Prefixes
from mentor_pl.decoding.engine.slots import Slots
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.models.attention import spans


class Scheduler:
    """The slots of one call.

    Args:
        prompts: N lists of token ids.
        limits: [N] maximum lengths of responses.
        pages: of R slots.
        runners: policy, and expert where it takes part; both have these pages.
        drafts: the rows on the device.
        stats: counts what is read.

    Attributes:
        table: what the host knows of the slots.
        waiting: rollouts without a slot, the next one first.
        lengths: [N] tokens of rollouts that have ended or been preempted.
    """

    def __init__(
        self,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        pages: PageTable,
        runners: Sequence[ModelRunner],
        drafts: Drafts,
        stats: DecodeStats,
    ) -> None:
        self.prompts, self.limits, self.pages, self.runners = prompts, limits, pages, runners
        self.drafts, self.stats = drafts, stats
        self.table = Slots(pages.slots)
        self.waiting = deque(range(len(prompts)))
        self.lengths = torch.zeros(len(prompts), dtype=torch.int64)
        self.prefixes = Prefixes(prompts, pages)
        # whether the expert reads prompts, where it shares the pages: from its first call on, and there may be none
        self.expert_prefilled = len(runners) == 1

    def admit(self, ended: Iterable[int] = ()) -> None:
        """Give slots to the rollouts that wait, as long as there are pages, and close the gaps that `ended` leaves."""
        gaps = list(ended)
        for slot, rollout in zip(gaps, self.table.rollout[gaps].tolist(), strict=True):
            self.prefixes.keep(slot, rollout)
        assignment = self._assignment([*gaps, *range(self.table.used, self.pages.slots)], self.table.used - len(gaps))
        if assignment:
            with self.stats.timed("prefill"):
                runners = self.runners if self.expert_prefilled else self.runners[:1]
                self._count(self.prefixes.fill(assignment, runners))
                self._assign(assignment)
        self._close(set(gaps) - set(assignment))

    def reserve(self, steps: int) -> bool:
        """Have pages for so many more tokens of every row, and no more than these; False where they run out."""
        table, used = self.table, self.table.used
        if not self.pages.whole:
            places = (table.prompt + torch.minimum(table.place + steps, table.limit))[:used].tolist()
            for slot in table.age[:used].argsort().tolist():
                self.pages.release(slot, places[slot])
                if not self.pages.reserve(slot, places[slot]):
                    return False
            self.pages.upload()
        return True

    def preempt(self) -> int:
        """Let the newest row wait and give up its pages; its rollout.

        None of its drafts may be pending: it would be drawn twice.
        """
        slot = int(self.table.age[: self.table.used].argmax())
        self.waiting.appendleft(int(self.table.rollout[slot]))
        self.lengths[self.waiting[0]] = self.table.place[slot]
        self.stats.preempted += 1
        self._close({slot})
        return self.waiting[0]

    def prefill_expert(self) -> None:
        """Have the expert read the prompts of the rows in use, and from now on those of all that follow."""
        with self.stats.timed("prefill"):
            rollouts = self.table.rollout[: self.table.used].tolist()
            self._count([0, self.prefixes.catch_up(self.runners[1], rollouts)])
        self.expert_prefilled = True

    def _assignment(self, free: list[int], used: int) -> dict[int, int]:
        """Slot -> rollout of those that wait, in their order, as far as there are pages beside `used` rows."""
        requests = list(self.waiting)[: len(free)]
        assignment = self.prefixes.assignment(free, requests)
        if not self.pages.whole:
            slots = {rollout: slot for slot, rollout in assignment.items()}
            wanted = [(slots[rollout], rollout, int(self.lengths[rollout])) for rollout in requests]
            some = requests[: self.prefixes.affordable(wanted, free, used)]
            assignment = {slots[rollout]: rollout for rollout in some}
            for slot in set(free) - set(assignment):
                self.prefixes.drop(slot)
        for _ in assignment:
            self.waiting.popleft()
        return assignment

    def _assign(self, assignment: dict[int, int]) -> None:
        """Let rollouts enter slots that hold their prompts; the policy reads again what preempted ones have said."""
        rollouts = list(assignment.values())
        prompts, limits = [self.prompts[rollout] for rollout in rollouts], [self.limits[one] for one in rollouts]
        # slots, rollouts, tokens of their prompts, limits, tokens they have
        columns = torch.tensor(
            [list(assignment), rollouts, list(map(len, prompts)), limits, self.lengths[rollouts].tolist()]
        )
        again = columns[:, columns[4] > 0]
        if again.shape[1]:
            self._read_again(*again)
        self.table.assign(columns)
        self.drafts.assign(columns, torch.tensor([prompt[-1] for prompt in prompts]))

    def _read_again(self, slots: Tensor, rollouts: Tensor, prompts: Tensor, limits: Tensor, places: Tensor) -> None:
        """Have the policy read responses but for their last tokens, with which they enter."""
        for slot, count in zip(slots.tolist(), (prompts + places).tolist(), strict=True):
            self.pages.reserve(slot, count)
        columns = spans(torch.zeros_like(places), places).to(self.drafts.token.device)
        tokens = self.drafts.buffers.context[rollouts.repeat_interleave(places).to(columns.device), columns]
        self._count([len(tokens)])
        self.runners[0].forward(tokens, slots, prompts - 1, places, torch.zeros(0, dtype=torch.int64))

    def _count(self, read: Sequence[int]) -> None:
        """Tokens that the policy has read, and the expert where it has."""
        self.stats.prefill_tokens += sum(read)
        self.stats.expert_prefill_tokens += sum(read[1:])

    def _close(self, gaps: set[int]) -> None:
        """Let the last rows move into the gaps, so that the rows in use are the first ones."""
        table, origins = self.table, dict[int, int]()  # slot -> slot whose row moves there
        for gap in sorted(gaps, reverse=True):  # from behind, so that what moves is in use
            self.prefixes.drop(gap)
            table.used -= 1
            if table.used != gap:
                origins[gap] = origins.pop(table.used, table.used)
        for target, source in origins.items():
            self.prefixes.move(source, target)
            if self.pages.whole:
                for runner in self.runners:
                    runner.cache.copy(source, [target], int(table.prompt[source] + table.place[source]))
        targets, sources = torch.tensor([list(origins), list(origins.values())], dtype=torch.int64)
        if gaps:
            table.move(sources, targets)
            self.drafts.move(sources, targets, table.used)
