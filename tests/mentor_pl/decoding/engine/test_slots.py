"""The host's table: who sits where, by hand."""

import pytest
import torch

from mentor_pl.decoding.engine.slots import Seats


def seated():
    """Three of four slots: rollouts 7, 8, 9 with prompts of 2, 3, 4 tokens and limits 10, 20, 30."""
    seats = Seats(4)
    seats.take(torch.tensor([[0, 1, 2], [7, 8, 9], [2, 3, 4], [10, 20, 30]]))
    return seats


def row(seats, slot):
    return {name: int(getattr(seats, name)[slot]) for name in Seats.COLUMNS}


FRESH = {"place": 0, "open": 0, "drafting": 1, "cuts": 0, "verified": 0, "read": 0}


def test_newcomers_start_from_nothing():
    seats = seated()
    assert seats.used == 3
    assert row(seats, 1) == {"rollout": 8, "prompt": 3, "limit": 20, **FRESH}


def test_who_takes_a_seat_inherits_nothing_from_who_sat_there():
    seats = seated()
    for name in ("place", "open", "cuts", "verified", "read"):
        getattr(seats, name)[1] = 5
    seats.drafting[1] = 0
    seats.take(torch.tensor([[1], [3], [6], [40]]))
    assert row(seats, 1) == {"rollout": 3, "prompt": 6, "limit": 40, **FRESH}
    assert row(seats, 2)["rollout"] == 9
    assert seats.used == 3


def test_a_rollout_that_moves_takes_everything_along():
    seats = seated()
    for place, name in enumerate(("place", "open", "drafting", "cuts", "verified", "read")):
        getattr(seats, name)[2] = 11 + place
    seats.move(2, 0)
    moved = {"place": 11, "open": 12, "drafting": 13, "cuts": 14, "verified": 15, "read": 16}
    assert row(seats, 0) == {"rollout": 9, "prompt": 4, "limit": 30, **moved}


def test_ended_are_the_rows_in_use_that_go_no_further_and_wait_for_nothing():
    seats = seated()
    seats.drafting[:] = torch.tensor([0, 0, 1, 0])  # the fourth slot is not in use
    seats.open[:] = torch.tensor([0, 2, 0, 0])
    assert seats.ended().tolist() == [0]


def test_the_width_is_that_of_the_fullest_row_in_use():
    seats = seated()
    seats.place[:] = torch.tensor([4, 1, 1, 99])
    assert seats.width() == 6  # 2 + 4, 3 + 1, 4 + 1


def test_most_cuts_is_the_rate_of_the_row_in_use_that_is_cut_most_often():
    seats = seated()
    seats.place[:] = torch.tensor([10, 30, 10, 0])
    seats.cuts[:] = torch.tensor([1, 5, 1, 9])
    assert seats.most_cuts(1, 10) == pytest.approx(6 / 40)  # against 2 / 20; the fourth slot is not in use
