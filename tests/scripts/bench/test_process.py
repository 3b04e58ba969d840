"""Measurements in processes of their own: what they yield comes at once, and what goes wrong in one line."""

import itertools
import os

import process
import pytest
from process import streamed
from two_processes import FORKING


@pytest.fixture(autouse=True)
def _forking(monkeypatch):
    monkeypatch.setattr(process, "get_context", lambda _: FORKING)


def test_what_is_yielded_before_a_failure_is_kept(tmp_path):
    values = streamed(map, 300, tmp_path / "log", int, ["1", "x\ny"])
    assert next(values) == 1
    with pytest.raises(RuntimeError, match=r"^ValueError: invalid literal for int\(\) with base 10: 'x\\ny'$"):
        next(values)
    assert "Traceback" in (tmp_path / "log").read_text()


def test_a_process_that_ends_without_a_word_is_told_from_one_that_is_done(tmp_path):
    assert list(streamed(range, 300, tmp_path / "log", 3)) == [0, 1, 2]
    with pytest.raises(RuntimeError, match=r"^its process ended with status 3$"):
        list(streamed(map, 300, tmp_path / "log", os._exit, [3]))


def test_what_takes_too_long_is_killed(tmp_path, monkeypatch):
    """Though the next value may be there already."""
    started, kind, pipe = [], FORKING.Process, FORKING.Pipe

    def ready(duplex):
        ours, theirs = pipe(duplex=duplex)
        ours.poll = lambda _, poll=ours.poll: poll(300)
        return ours, theirs

    monkeypatch.setattr(FORKING, "Pipe", ready)
    monkeypatch.setattr(FORKING, "Process", lambda **options: started.append(kind(**options)) or started[-1])
    with pytest.raises(TimeoutError, match="longer than the 0 s"):
        next(streamed(itertools.count, 0, tmp_path / "log"))
    assert started[0].exitcode == -9
