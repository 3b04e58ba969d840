"""Forks of a run: what is written is read, what is cut is left out, and what is none of ours is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from mentor_pl.records.forks import NAME, Fork, append_fork, read_forks
from mentor_pl.runtime.errors import UsageError

ONE = Fork(
    5, 2, 0, 1, 3, 40, 6, "0123", 7, 8, "we", "the\n\u202e", "checkpoint step=2.ckpt", 2, 16, 0,
    4, 0.1, 0.5, 12, 0.5, 0.9, 0.5, 0.1, 0.7,
)  # fmt: skip


def test_forks_are_read_as_they_were_written_in_their_order(tmp_path) -> None:
    assert read_forks(tmp_path) == []
    two = replace(ONE, seed=1)
    append_fork(tmp_path, ONE), append_fork(tmp_path, two)
    assert read_forks(tmp_path) == [ONE, two]
    assert len((tmp_path / NAME).read_text("ascii").splitlines()) == 2


def test_a_line_that_is_cut_is_left_out_and_the_next_one_is_whole(tmp_path) -> None:
    append_fork(tmp_path, ONE)
    whole = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(whole + whole[:40])
    assert read_forks(tmp_path) == [ONE]
    append_fork(tmp_path, ONE)
    assert read_forks(tmp_path) == [ONE, ONE]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("\x00PAR1", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[1]", "no object"),
        ("{}", "step: 'missing'"),
        (json.dumps(asdict(ONE) | {"k": True}), "k: True"),
        (json.dumps(asdict(ONE) | {"k": 10**30}), "k: 1000"),
        (json.dumps(asdict(ONE) | {"weights": 3}), "weights: 3"),
        (json.dumps(asdict(ONE) | {"draft_low": "1e9"}), "draft_low: '1e9'"),
        (json.dumps(asdict(ONE)).replace("0.9", "1e999"), "expert_high: inf"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_in_one_line(tmp_path, line, reason) -> None:
    append_fork(tmp_path, ONE)
    with (tmp_path / NAME).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    with pytest.raises(UsageError, match=r"forks.jsonl is none of mentor fork \(line 2, ") as refused:
        read_forks(tmp_path)
    assert reason in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_line_with_a_number_that_is_none_counts_as_cut(tmp_path) -> None:
    (tmp_path / NAME).write_text(json.dumps(asdict(ONE) | {"draft_low": float("nan")}))
    assert read_forks(tmp_path) == []
