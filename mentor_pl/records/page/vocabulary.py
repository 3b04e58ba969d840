"""Each token once: a table of ids and texts, so that a page says every text once and then its number."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mentor_pl.records.page.pack import Array, indices
from mentor_pl.records.page.texts import texts

SHOWN: Final = 200  # characters of a token's text; a page has no use for more


class Vocabulary(NamedTuple):
    """The tokens of a step.

    Attributes:
        table: [id, text] of each; text is null where only the id is known, and where it was cut its length is third.
        places: of each given array the places in the table, as narrow as they fit.
    """

    table: list[list[Any]]
    places: list[Array]


def vocabulary(tokens: list[tuple[Array, pa.ChunkedArray]], alone: Array) -> Vocabulary:
    """Number the tokens.

    Args:
        tokens: arrays of ids with their texts; one id may have several.
        alone: ids whose texts are not known but by the others'.
    """
    ids = np.concatenate([some for some, _ in tokens]).astype(np.int64)
    chunks = [chunk for _, some in tokens for chunk in some.chunks]
    coded = pc.dictionary_encode(pa.chunked_array(chunks, pa.string())).combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0) if coded.num_chunks else pa.array([], pa.dictionary(pa.int32(), pa.string()))
    known_texts = texts(coded.dictionary)
    keys = ids * max(1, len(known_texts)) + coded.indices.to_numpy(zero_copy_only=False)
    distinct, first, places = np.unique(keys, return_index=True, return_inverse=True)
    table = [
        _entry(int(ids[at]), known_texts[key % len(known_texts)])
        for key, at in zip(distinct.tolist(), first, strict=True)
    ]
    known = {entry[0]: place for place, entry in reversed(list(enumerate(table)))}
    for one in np.unique(alone).tolist():
        if one not in known:
            known[one] = len(table)
            table.append([one, None])
    ends = np.cumsum([len(some) for some, _ in tokens])[:-1]
    parts = [*np.split(places.reshape(-1), ends), np.array([known[one] for one in alone.tolist()], np.int64)]
    return Vocabulary(table, [indices(part) for part in parts])


def _entry(token: int, text: str) -> list[Any]:
    return [token, text] if len(text) <= SHOWN else [token, text[:SHOWN], len(text)]
