"""Every word has the label of its position, and what stands behind the first word outside the form has none."""

from __future__ import annotations

import pytest

from mentor_pl.testbed.forms import Form, labels_by


def greeting() -> Form:
    """`hello`, then whom one likes, then nothing."""
    if (yield False) != "hello":
        return False
    return (yield True) in ("you", "all")


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        ("hello you", [False, True]),
        ("hello", [False]),
        ("hello you too", [False, True, None]),
        ("good day to you", [False, None, None, None]),
        ("", []),
    ],
)
def test_labels_are_the_forms_until_a_word_leaves_it(words: str, labels: list[bool | None]) -> None:
    assert labels_by(greeting(), words.split()) == labels
