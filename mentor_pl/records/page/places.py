"""Where the tokens that another file names stand among all tokens of a page's step."""

from __future__ import annotations

import pyarrow as pa

from mentor_pl.records.page.pack import Array


class Places:
    """The tokens of a step by rollout and place in the response.

    Args:
        rows: the rollouts that the page has of the step.
        starts: [N + 1] place of each rollout's first token among all.
        ids: [M] the tokens.
    """

    def __init__(self, rows: pa.Table, starts: Array, ids: Array) -> None:
        self.starts, self.ids = starts, ids
        keys = zip(*(rows[name].to_pylist() for name in ("rank", "group", "number")), strict=True)
        self._rows = {key: row for row, key in enumerate(keys)}

    def find(self, rank: int, group: int, number: int, position: int, token: int) -> int | None:
        """The place of a rollout's token among all; None where the page has not the rollout, or another token there."""
        row = self._rows.get((rank, group, number))
        if row is None or not 0 <= position < self.starts[row + 1] - self.starts[row]:
            return None
        at = int(self.starts[row]) + position
        return at if self.ids[at] == token else None
