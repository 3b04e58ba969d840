"""The host's table: who sits where, by hand."""

import pytest
import torch

from mentor_pl.decoding.engine.slots import Slots


def assigned():
    """Three of four slots: rollouts 7, 8, 9 with prompts of 2, 3, 4 tokens and limits 10, 20, 30."""
    table = Slots(4)
    table.assign(torch.tensor([[0, 1, 2], [7, 8, 9], [2, 3, 4], [10, 20, 30], [0, 0, 0]]))
    return table


def row(table, slot):
    return {name: int(getattr(table, name)[slot]) for name in Slots.COLUMNS}


FRESH = {"place": 0, "pending": 0, "drafting": 1, "rejections": 0, "verified": 0, "expert_computed": 0}


def test_new_requests_start_from_nothing():
    table = assigned()
    assert table.used == 3
    assert row(table, 1) == {"age": 1, "rollout": 8, "prompt": 3, "limit": 20, **FRESH}


def test_a_slots_new_rollout_inherits_nothing_from_the_one_before():
    table = assigned()
    for name in ("place", "pending", "rejections", "verified", "expert_computed"):
        getattr(table, name)[1] = 5
    table.drafting[1] = 0
    table.assign(torch.tensor([[1], [3], [6], [40], [0]]))
    assert row(table, 1) == {"age": 3, "rollout": 3, "prompt": 6, "limit": 40, **FRESH}
    assert row(table, 2)["rollout"] == 9
    assert table.used == 3


def test_a_rollout_that_is_assigned_again_has_the_tokens_it_had_and_nothing_in_the_experts_cache():
    table = assigned()
    table.assign(torch.tensor([[1], [3], [6], [40], [12]]))
    again = {"place": 12, "verified": 12, "expert_computed": 0, "pending": 0, "drafting": 1}
    assert {name: row(table, 1)[name] for name in again} == again


def test_a_rollout_that_moves_takes_everything_along():
    table = assigned()
    for place, name in enumerate(("place", "pending", "drafting", "rejections", "verified", "expert_computed")):
        getattr(table, name)[2] = 11 + place
    table.move(torch.tensor([2]), torch.tensor([0]))
    moved = {"place": 11, "pending": 12, "drafting": 13, "rejections": 14, "verified": 15, "expert_computed": 16}
    assert row(table, 0) == {"age": 2, "rollout": 9, "prompt": 4, "limit": 30, **moved}


def test_ended_are_the_rows_in_use_that_go_no_further_and_wait_for_nothing():
    table = assigned()
    table.drafting[:] = torch.tensor([0, 0, 1, 0])  # the fourth slot is not in use
    table.pending[:] = torch.tensor([0, 2, 0, 0])
    assert table.ended().tolist() == [0]


def test_the_width_is_that_of_the_fullest_row_in_use():
    table = assigned()
    table.place[:] = torch.tensor([4, 1, 1, 99])
    assert table.width() == 6  # 2 + 4, 3 + 1, 4 + 1


def test_max_rejection_rate_is_that_of_the_row_in_use_that_is_rejected_most_often():
    table = assigned()
    table.place[:] = torch.tensor([10, 30, 10, 0])
    table.rejections[:] = torch.tensor([1, 5, 1, 9])
    assert table.max_rejection_rate(1, 10) == pytest.approx(6 / 40)  # against 2 / 20; the fourth slot is not in use
