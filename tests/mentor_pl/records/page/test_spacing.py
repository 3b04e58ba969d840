from __future__ import annotations

import pytest

from mentor_pl.records.page.spacing import gaps


@pytest.mark.parametrize(
    ("text", "pieces", "spaced", "exact"),
    [
        ("so 2 + 2", ["so", " 2", " +", " 2"], [False] * 4, True),  # pieces with their spaces
        ("so 2 + 2", ["so", "2", "+", "2"], [False, True, True, True], True),  # words alone
        ("a b", ["a", "b", "<eos>"], [False, True, True], True),  # the stop token is none of the text
        ("a", ["a", "\n"], [False, False], True),  # nothing is put in front of white space
        ("é!", ["\ufffd", "\ufffd", "!"], [False, False, False], False),  # a character of two tokens
        ("a  b", ["a", "b"], [False, False], False),  # white space of another kind
        ("", ["<eos>"], [False], True),
        ("a", ["", "a"], [False, False], True),
    ],
)
def test_spaces_stand_where_the_text_has_them_and_it_is_known_whether_that_is_all(text, pieces, spaced, exact) -> None:
    assert gaps(text, pieces) == (spaced, exact)
