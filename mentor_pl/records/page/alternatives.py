"""The likeliest tokens of π_θ, π* and π_mix at guided tokens, out of the lists of a record and as arrays.

Shapes: A guided tokens with a list, 3 laws, k tokens of each.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mentor_pl.records.page.pack import Array

LAWS: Final = ("policy", "expert", "mixture")


class Alternatives(NamedTuple):
    """The likeliest tokens at A tokens.

    Attributes:
        at: [A] place among all tokens.
        ids: [A, 3, k] token; −1 where there are fewer than k.
        pieces: of those that are not −1, in their order, as texts.
        probabilities: [A, 3, k] float32; NaN where there are fewer.
    """

    at: Array
    ids: Array
    pieces: pa.ChunkedArray
    probabilities: Array

    def total_variations(self) -> Array:
        """[A] ½ Σ |π* − π_θ|, float32, as far as the lists tell: a token that one law does not list counts as 0 there,
        and what neither lists as one token more."""
        policy, expert = (np.nan_to_num(self.probabilities[:, law]) for law in (0, 1))
        same = (self.ids[:, 0, :, None] == self.ids[:, 1, None, :]) & (self.ids[:, 0, :, None] >= 0)
        of_expert = (same * expert[:, None, :]).sum(2)
        alone = np.where(same.any(1), 0, expert).sum(1)
        rest = np.abs(policy.sum(1) - expert.sum(1))
        apart = np.abs(policy - of_expert).sum(1) + alone + rest
        return np.asarray(np.minimum(1, apart / 2), np.float32)


def alternatives_of(rows: pa.Table, starts: Array) -> Alternatives:
    """Those of all rollouts.

    Args:
        rows: a record, or some of its rows.
        starts: [N + 1] place of each rollout's first token among all.
    """
    column = rows["alternatives"].combine_chunks()
    listed = column.flatten()
    first = np.repeat(starts[:-1], pc.list_value_length(column).to_numpy(zero_copy_only=False))
    at = first + listed.field("position").to_numpy(zero_copy_only=False)
    columns = {name: listed.field(name) for law in LAWS for name in (law, f"{law}_ids", f"{law}_pieces")}
    lengths = np.array([_lengths(columns[f"{law}_ids"]) for law in LAWS]).reshape(len(LAWS), len(listed))
    k = int(lengths.max(initial=0))
    ids = np.stack([_padded(columns[f"{law}_ids"], k, -1, np.int64) for law in LAWS], 1)
    probabilities = np.stack([_padded(columns[law], k, np.nan, np.float32) for law in LAWS], 1)
    # the texts in the order of `ids`: those of a law lie in one array, by rows
    order = np.full(ids.shape, -1, np.int64)
    done = 0
    for law in range(len(LAWS)):
        here = ids[:, law] >= 0
        order[:, law][here] = done + np.arange(here.sum())
        done += int(here.sum())
    texts = pa.concat_arrays([columns[f"{law}_pieces"].flatten() for law in LAWS])
    return Alternatives(
        at.astype(np.int64), ids, pa.chunked_array([texts.take(pa.array(order[order >= 0]))]), probabilities
    )


def _lengths(lists: pa.ListArray) -> Array:
    return np.asarray(pc.list_value_length(lists).to_numpy(zero_copy_only=False))


def _padded(lists: pa.ListArray, k: int, fill: float, kind: Any) -> Array:
    """[A, k] the values of each list, then `fill`."""
    found = np.full((len(lists), k), fill, kind)
    found[np.arange(k) < _lengths(lists)[:, None]] = lists.flatten().to_numpy(zero_copy_only=False)
    return found
