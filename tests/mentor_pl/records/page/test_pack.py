from __future__ import annotations

import math

import numpy as np
import pytest
from packed import unpack

from mentor_pl.records.page.pack import ABSENT, finite, indices, pack, scaled


def test_what_is_packed_is_read_back_whatever_its_width() -> None:
    arrays = {
        "bytes": np.array([1, 2, 255], np.uint8),
        "none": np.array([], np.uint16),
        "wide": np.array([1, 256, 70_000], np.uint32),
        "real": np.array([0.5, -1.25], np.float32),
    }
    told, read = unpack(pack({"text": "</script>\u202e\x00\ud800"}, arrays))
    assert told == {"text": "</script>\u202e\x00\ud800"}
    assert read == {"bytes": [1, 2, 255], "none": [], "wide": [1, 256, 70_000], "real": [0.5, -1.25]}


def test_letters_alone_come_out_and_the_same_ones_again() -> None:
    letters = pack({"text": "</script><!--"}, {})
    assert letters.isascii()
    assert set(letters) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    assert letters == pack({"text": "</script><!--"}, {})


def test_a_number_that_is_none_is_refused_by_the_header_and_has_a_word_of_its_own_in_arrays() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({"reward": math.nan}, {})
    assert [finite(value) for value in (None, math.nan, math.inf, 0.25)] == [None, None, None, 0.25]
    assert scaled(np.array([0.0, 0.0014, 99.0, -1.0, math.nan]), 0.001).tolist() == [0, 1, ABSENT - 1, 0, ABSENT]


def test_places_take_two_bytes_where_they_fit() -> None:
    kinds = [indices(np.array(some)).dtype.name for some in ([], [65_534], [65_535])]
    assert kinds == ["uint16", "uint16", "uint32"]
