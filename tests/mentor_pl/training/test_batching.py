"""Mini-batches of whole groups, micro-batches under a token budget."""

import pytest
import torch

from mentor_pl.training import batching
from mentor_pl.training.batching import micro_batches, mini_batches


def as_lists(parts):
    return [part.tolist() for part in parts]


def groups(*sizes):
    return torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes, dtype=torch.int64))


def test_mini_batches_are_consecutive_whole_groups_equally_many_in_each():
    # 4 groups of 3: two groups each
    assert as_lists(mini_batches(groups(3, 3, 3, 3), 2)) == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def test_one_mini_batch_holds_everything_and_as_many_as_groups_hold_one_each():
    assert as_lists(mini_batches(groups(2, 2), 1)) == [[0, 1, 2, 3]]
    assert as_lists(mini_batches(groups(2, 2), 2)) == [[0, 1], [2, 3]]


def test_groups_may_differ_in_size_and_number():
    assert as_lists(mini_batches(groups(1, 3, 2), 2)) == [[0, 1, 2, 3], [4, 5]]
    assert as_lists(mini_batches(groups(2), 2)) == [[0, 1], []]  # what no group is left for is empty


def shares(prompts, responses, group_size, tokens):
    group, rows = groups(*[group_size] * (len(prompts) // group_size)), torch.arange(len(prompts))
    return as_lists(micro_batches(torch.tensor(prompts), torch.tensor(responses), group, tokens, rows))


def test_a_prompt_counts_once_for_neighbours_of_its_group():
    # 10 + 2 + 2 = 14 for the first pair; the second pair costs as much again
    assert shares([10] * 4, [2] * 4, 2, 28) == [[0, 1, 2, 3]]
    assert shares([10] * 4, [2] * 4, 2, 27) == [[0, 1, 2], [3]]


def test_a_prompt_counts_again_in_the_next_micro_batch():
    # 10 + 4 + 4 = 18, then 10 + 4 = 14 of 18
    assert shares([10] * 3, [4] * 3, 3, 18) == [[0, 1], [2]]
    assert shares([10] * 4, [4] * 4, 4, 17) == [[0], [1], [2], [3]]


def test_groups_with_the_longest_rollouts_come_first_and_equals_keep_their_order():
    assert shares([1] * 6, [2, 2, 3, 9, 3, 2], 2, 1000) == [[2, 3, 4, 5, 0, 1]]
    assert shares([1] * 6, [3] * 6, 2, 1000) == [[0, 1, 2, 3, 4, 5]]
    assert shares([1] * 4, [4, 4, 1, 5], 2, 1000) == [[2, 3, 0, 1]]  # the longest one, not all together
    assert shares([1, 1, 9, 9], [5, 5, 2, 2], 2, 1000) == [[2, 3, 0, 1]]  # 11 with the prompt, against 6


def test_a_rollout_over_the_budget_goes_alone():
    assert shares([1] * 4, [2, 50, 2, 3], 2, 8) == [[0], [1], [2, 3]]


def test_every_row_is_in_one_micro_batch_within_the_budget():
    generator = torch.Generator().manual_seed(0)
    responses = torch.randint(1, 60, (200,), generator=generator)
    prompts = torch.randint(1, 40, (50,), generator=generator).repeat_interleave(4)
    parts = micro_batches(prompts, responses, groups(*[4] * 50), 128, torch.arange(200))
    assert torch.cat(parts).sort().values.tolist() == list(range(200))
    for part in parts:
        distinct = (part // 4).unique() * 4
        assert int(responses[part].sum() + prompts[distinct].sum()) <= 128


def test_rows_of_a_part_of_the_rollouts_keep_their_numbers():
    prompts, responses = torch.tensor([1] * 6), torch.tensor([9, 9, 2, 2, 3, 3])
    parts = micro_batches(prompts, responses, groups(2, 2, 2), 1000, torch.tensor([2, 4, 5]))
    assert as_lists(parts) == [[4, 5, 2]]
    assert micro_batches(prompts, responses, groups(2, 2, 2), 1000, torch.tensor([], dtype=torch.int64)) == []


def test_rows_of_a_group_with_a_context_of_their_own_pay_for_it():
    # contexts of 4 and 7 tokens in one group: 4 + 1 + 1, then 7 + 1
    prompts, responses = torch.tensor([4, 4, 7]), torch.tensor([1, 1, 1])
    assert as_lists(micro_batches(prompts, responses, groups(3), 14, torch.arange(3))) == [[0, 1, 2]]
    assert as_lists(micro_batches(prompts, responses, groups(3), 13, torch.arange(3))) == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("place", "own", "expected"),
    [(0, groups(2, 2, 2), [[0, 1, 2, 3], [4, 5]]), (1, groups(2, 2), [[0, 1], [2, 3]]), (2, groups(), [[], []])],
)
def test_mini_batches_over_ranks_are_those_of_one_process(monkeypatch, place, own, expected):
    """Groups 0, 2, 4 of five lie on the first rank, 1 and 3 on the second: three make the first, two the second."""
    monkeypatch.setattr(batching, "all_objects", lambda count: [3, 2, 0])
    monkeypatch.setattr(batching, "rank", lambda: place)
    assert as_lists(mini_batches(own, 2)) == expected
