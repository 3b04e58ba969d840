"""Mini-batches of whole groups, micro-batches under a token budget."""

import pytest
import torch

from mentor_pl.batching import micro_batches, mini_batches


def as_lists(parts):
    return [part.tolist() for part in parts]


def test_mini_batches_are_consecutive_whole_groups_equally_many_in_each():
    # 4 groups of 3: two groups each
    assert as_lists(mini_batches(12, 3, 2)) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_one_mini_batch_holds_everything_and_as_many_as_groups_hold_one_each():
    assert as_lists(mini_batches(4, 2, 1)) == [[0, 1, 2, 3]]
    assert as_lists(mini_batches(4, 2, 2)) == [[0, 1], [2, 3]]


@pytest.mark.parametrize(("rollouts", "group", "count"), [(12, 4, 2), (4, 2, 3), (2, 2, 2)])
def test_groups_that_cannot_be_dealt_evenly_are_refused(rollouts, group, count):
    with pytest.raises(ValueError, match=f"{rollouts // group} groups cannot be divided into {count}"):
        mini_batches(rollouts, group, count)


def test_micro_batches_fill_the_budget_with_the_longest_rows_first():
    # sorted 5, 4, 3, 2, 1 at places 1, 3, 0, 4, 2; budget 10: 2 × 5, 3 × 3
    assert as_lists(micro_batches(torch.tensor([3, 5, 1, 4, 2]), 10)) == [[1, 3], [0, 4, 2]]


def test_a_budget_is_spent_to_the_last_token_and_not_beyond():
    assert as_lists(micro_batches(torch.tensor([4, 4, 4]), 12)) == [[0, 1, 2]]
    assert as_lists(micro_batches(torch.tensor([4, 4, 4]), 11)) == [[0, 1], [2]]


def test_a_row_over_the_budget_goes_alone():
    assert as_lists(micro_batches(torch.tensor([2, 50, 2]), 8)) == [[1], [0, 2]]


def test_equal_lengths_keep_their_order():
    assert as_lists(micro_batches(torch.tensor([3, 3, 3, 3]), 6)) == [[0, 1], [2, 3]]


def test_every_row_is_in_one_micro_batch_within_the_budget():
    lengths = torch.randint(1, 60, (200,), generator=torch.Generator().manual_seed(0))
    parts = micro_batches(lengths, 128)
    assert torch.cat(parts).sort().values.tolist() == list(range(200))
    assert all(len(part) * int(lengths[part].max()) <= 128 for part in parts)
