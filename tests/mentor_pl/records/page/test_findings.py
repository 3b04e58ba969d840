"""What was found of a run's tokens later, as a page has it."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import ANY

import numpy as np
import pytest
from recorded_runs import row, table

from mentor_pl.records.absorbed import Replaced, scored_rows, write_absorbed
from mentor_pl.records.damaged import PassOver
from mentor_pl.records.forks import Fork, append_fork
from mentor_pl.records.page import findings
from mentor_pl.records.page.findings import findings_of
from mentor_pl.records.page.places import Places

FORK = Fork(
    5, 1, 0, 0, 1, 7, 1, "0123", 8, 7, "we", "t" * 300, "the run's start", 0, 16, 0,
    4, 0.1, 0.5, 12, 0.5, 0.9, 0.5, 0.1, 0.7,
)  # fmt: skip
PLACES = Places(table([row(["a"]), row(["a", "b"], number=1)]), np.array([0, 1, 3]), np.array([5, 6, 7]))


def read(run):
    return findings_of(run, PassOver())


def test_nothing_was_found_where_neither_file_is_there(tmp_path) -> None:
    assert read(tmp_path).of_run() == {"absorbed": None, "forks": []}
    assert read(tmp_path).of_step(5, "0123", PLACES) == {"absorbed": [], "forks": []}


def test_forks_stand_at_their_token_with_texts_that_are_cut(tmp_path) -> None:
    append_fork(tmp_path, FORK)
    (one,) = read(tmp_path).of_step(5, "0123", PLACES)["forks"]
    assert (one["at"], one["k"], one["expert_piece"]) == (2, 16, "t" * 200)
    assert len(read(tmp_path).of_run()["forks"]) == 1


@pytest.mark.parametrize(
    "other", [{"step": 6}, {"sampled_by": "4567"}, {"group": 1}, {"token": 2}, {"token": -1}, {"expert_id": 6}]
)
def test_a_fork_of_another_token_or_of_rollouts_since_made_anew_stands_nowhere(tmp_path, other) -> None:
    append_fork(tmp_path, replace(FORK, **other))
    assert read(tmp_path).of_step(5, "0123", PLACES)["forks"] == []


def test_of_many_forks_the_latest_are_kept(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(findings, "LATEST", 2)
    for seed in range(4):
        append_fork(tmp_path, replace(FORK, seed=seed))
    assert [one["seed"] for one in read(tmp_path).of_run()["forks"]] == [2, 3]


def test_scores_are_read_and_a_file_that_is_none_is_passed_over(tmp_path) -> None:
    write_absorbed(tmp_path, scored_rows([Replaced(5, 0, 0, 1, 7, 1, 7, 8, "a", "b", (), 1.0)], [-1], [-2], 9))
    assert [one["token"] for one in read(tmp_path).of_step(5, "", PLACES)["absorbed"]] == [2]
    (tmp_path / "absorbed.parquet").write_bytes(b"PAR1")
    append_fork(tmp_path, FORK)
    assert read(tmp_path).of_run() == {"absorbed": None, "forks": [ANY]}
    (tmp_path / "forks.jsonl").write_text("mine\n")
    reading = PassOver()
    assert findings_of(tmp_path, reading).of_run() == {"absorbed": None, "forks": []}
    absorbed, forks = reading.files.values()
    assert "absorbed.parquet is no file of AbsorbedTokens" in absorbed
    assert "forks.jsonl is none of mentor fork (line 1, no JSON): move it away" in forks
