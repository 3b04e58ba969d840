"""The picture has the page's colours behind the tokens that they are of, whatever the text."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from mentor_pl.records.samples.colours import light
from mentor_pl.records.samples.picture import COLUMNS, LINES, picture
from mentor_pl.records.samples.sample import Sample, Token

HOSTILE = ("$\\frac{x$", "\\boxed{$x^2$}", "日本語", "שלום", "e\u0301", "<b>", "a\nb\n", " ", "x" * 300, "%s {0} _^")


def sample(*tokens):
    return Sample("a prompt", "mixture", None, 0.5, tokens)


def count(image, name):
    """Pixels of a colour."""
    return int((image == np.round(255 * np.array(to_rgb(light()[name])))).all(-1).sum())


def body(*tokens):
    """The picture below its legend."""
    image = picture([sample(*tokens)], "step 1")
    assert image.dtype == np.uint8
    return image[100:]


def test_each_mark_has_its_colour_and_nothing_else_has():
    plain = body(Token("plain"))
    assert count(plain, "guided") == count(plain, "replaced") == 0
    guided, replaced = body(Token("plain", "guided")), body(Token("plain", "replaced", "draft"))
    assert count(guided, "guided") > 300 and count(guided, "replaced") == 0
    assert count(replaced, "replaced") > 300 and count(replaced, "guided") == 0


def test_a_fallen_draft_is_struck_out():
    with_draft, without = (body(Token("     ", "replaced", draft)) for draft in ("     x", ""))
    longest = [max(map(len, "".join("x" if dark else " " for dark in row).split())) if row.any() else 0
               for row in (with_draft.max(-1) < 120)]  # fmt: skip
    assert with_draft.shape == without.shape
    assert max(longest) >= 6


def test_hostile_text_is_drawn_without_a_word(recwarn):
    marks = ("", "guided", "replaced", "given")
    tokens = [Token(text, mark, "$draft" * (mark == "replaced")) for text in HOSTILE for mark in marks]
    image = picture([Sample("$\\x$ " * 200, "demonstration", 1.0, 0.0, tokens)], "$step")
    assert image.shape[0] < 40 * (LINES + 8)
    assert not recwarn.list


def test_a_long_response_is_cut(monkeypatch):
    heights = [picture([sample(*[Token("word ")] * tokens)], "step 1").shape[0] for tokens in (10_000, 20_000)]
    assert heights[0] == heights[1] < 40 * (LINES + 8)


@pytest.mark.parametrize("letters", [COLUMNS - 1, COLUMNS, COLUMNS + 1, 3 * COLUMNS])
def test_a_token_that_reaches_the_edge_is_marked_to_its_end(letters):
    once, twice = (count(body(Token("i" * n, "guided")), "guided") for n in (letters, 2 * letters))
    assert twice == pytest.approx(2 * once, rel=0.1)
