import io
import sys

import pytest

from mentor_pl.runtime.progress import progress_bar


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "shown", "seen"), [(Terminal(), True, True), (Terminal(), False, False), (io.StringIO(), True, False)]
)
def test_the_bar_is_on_a_terminal_alone_and_where_asked_for(stream, shown, seen, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream)
    with progress_bar("reading problems", shown=shown) as progress:
        progress(7, None)
        progress(3, 5)
    text = stream.getvalue()
    assert ("reading problems" in text and "3/5" in text) == seen
    assert bool(text) == seen
