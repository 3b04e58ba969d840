"""What a terminal gets of a stranger's text."""

import pytest

from mentor_pl.runtime.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("é 漢 \\x", "é 漢 \\x"),
        ("\x1b[2J\x07\x9b", r"\x1b[2J\x07\x9b"),
        ("\u202egnorw", r"\u202egnorw"),
        ("a\rb\nc\td\0", r"a\rb\nc\td\x00"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_line_breaks_stay_where_they_are_asked_for() -> None:
    assert printable("a\n\x1b", keep="\n") == "a\n\\x1b"
