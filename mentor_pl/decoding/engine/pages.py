"""Which pages of a KV cache hold which row: a table, counted references, a free list.

Place t of slot s lies in page `table[s, t // P]`, at t mod P. The host hands out pages when it looks at the rows,
before the steps that will write them, so that no step waits. Rows of one prompt share the pages that it fills; the last
one, which each goes on to write, is its own. Page 0 is nobody's: slots without a rollout write there.

Where a page is as long as a row, slot s has page s for good and nothing is handed out: the rows in use then lie side by
side, and are read where they lie.

Shapes: R slots, L places of a row at most, P places of a page, M = ⌈L / P⌉.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


class PageTable:
    """The pages of R slots.

    Args:
        slots: R.
        length: L.
        size: P; L or more for rows that are each a page.
        count: pages to hand out, where rows are several pages.
        device: of the caches.
    """

    def __init__(self, slots: int, length: int, size: int, count: int, device: torch.device) -> None:
        self.slots, self.length, self.size = slots, length, min(size, length)
        self.whole = size >= length
        self.count = slots if self.whole else count + 1
        self.enough = self.whole or count >= slots * -(-length // size)  # for all slots at their longest
        pages = (
            torch.arange(slots)[:, None] if self.whole else torch.zeros(slots, -(-length // size), dtype=torch.int64)
        )
        self.on_host = pages  # [R, M]
        self.table = pages.clone().to(device)  # as it was uploaded last
        self.held: list[list[int]] = [[] for _ in range(slots)]  # what each slot has, in its order
        self.references = [0] * self.count
        self.free = list(range(self.count - 1, 0, -1)) if not self.whole else []
        self._changed = False

    @classmethod
    def fitting(
        cls, rollouts: int, longest: int, rows: int, cache_tokens: int, page_tokens: int, device: torch.device
    ) -> PageTable:
        """For so many rollouts, prompt and response of the longest `longest` tokens; without slots where none fits.

        Args:
            rows: rollouts decoded at a time, at most.
            cache_tokens: places of each model's cache, over all rows.
            page_tokens: P; 0 for pages as long as a row.
        """
        size = page_tokens or longest
        if size >= longest:
            return cls(min(rows, rollouts, cache_tokens // longest), longest, longest, 0, device)
        count = min(cache_tokens // size, min(rows, rollouts) * -(-longest // size))
        slots = min(rows, rollouts) if count * size >= longest else 0
        return cls(slots, longest, size, count, device)

    @property
    def used(self) -> int:
        """Pages that slots hold, each counted once."""
        return 0 if self.whole else self.count - 1 - len(self.free)

    def pages(self, places: int) -> int:
        """Pages that so many places of a row take."""
        return 0 if self.whole else -(-places // self.size)

    def reserve(self, slot: int, places: int) -> bool:
        """See that a slot has pages for its first `places`; False, and nothing done, where too few are free."""
        wanted = self.pages(places) - len(self.held[slot])
        if wanted > len(self.free):
            return False
        for _ in range(wanted):
            self._append(slot, self.free.pop())
        return True

    def share(self, source: int, target: int, places: int) -> None:
        """Let a slot without pages begin with those that the first `places` of another one fill."""
        for page in self.held[source][: places // self.size] if not self.whole else ():
            self._append(target, page)

    def release(self, slot: int, places: int = 0) -> None:
        """Give back a slot's pages but for those of its first `places`."""
        some = self.held[slot][self.pages(places) :]
        for page in some:
            self.references[page] -= 1
            if not self.references[page]:
                self.free.append(page)
        if some:
            del self.held[slot][-len(some) :]
            self._write(slot)

    def move(self, source: int, target: int) -> None:
        """Let a slot without pages have those of another one."""
        if not self.whole:
            self.held[target], self.held[source] = self.held[source], []
            self._write(source)
            self._write(target)

    def apart(self, source: int, target: int, places: int) -> Sequence[tuple[int, int, int]]:
        """(page of the source, page of the target, places) of the pages under their first `places` that differ."""
        parts = []
        for column in range(-(-places // self.size)):
            page, other = int(self.on_host[source, column]), int(self.on_host[target, column])
            if page != other:
                parts.append((page, other, min(self.size, places - column * self.size)))
        return parts

    def upload(self) -> None:
        """Let the device know what the host has handed out."""
        if self._changed:
            self.table.copy_(self.on_host)
            self._changed = False

    def _append(self, slot: int, page: int) -> None:
        self.references[page] += 1
        self.held[slot].append(page)
        self.on_host[slot, len(self.held[slot]) - 1] = page
        self._changed = True

    def _write(self, slot: int) -> None:
        self.on_host[slot] = 0
        self.on_host[slot, : len(self.held[slot])] = torch.tensor(self.held[slot], dtype=torch.int64)
        self._changed = True
