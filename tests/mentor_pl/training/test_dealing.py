"""Whole groups dealt among ranks by their tokens; ranks are threads here."""

import math
import threading
from dataclasses import replace
from statistics import NormalDist, fmean

import pytest
import torch

from mentor_pl.training import dealing
from mentor_pl.training.dealing import Deal, longest_first
from mentor_pl.types import Rollouts


def test_the_longest_goes_first_to_whoever_has_least():
    # 7 to rank 0, 5 to rank 1, 4 to rank 1 (5 < 7), 3 to rank 0 (7 < 9), 1 to rank 1 (9 < 10): 10 each
    assert longest_first([4, 1, 7, 3, 5], 2) == [1, 1, 0, 0, 1]
    assert longest_first([2, 2, 2], 2) == [0, 1, 0]
    assert longest_first([], 3) == []
    assert longest_first([5], 3) == [0]


def log_normal(count, mean=1500, limit=8192, cut=0.01):
    """Lengths of responses as quantiles of a log-normal law of this mean, of which a share is cut at the limit."""
    z = NormalDist().inv_cdf
    sigma = z(1 - cut) - math.sqrt(z(1 - cut) ** 2 - 2 * math.log(limit / mean))
    at = math.log(limit) - z(1 - cut) * sigma
    return [math.ceil(min(limit, math.exp(at + sigma * z((i + 0.5) / count)))) for i in range(count)]


@pytest.mark.parametrize("alike", [False, True], ids=["of any length", "of like lengths in a group"])
def test_of_lengths_as_they_come_the_longest_rank_has_five_percent_more_than_the_mean_at_most(alike):
    """128 problems × 8 rollouts in 2 mini-batches on 8 ranks; dealt in turn it has much more."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor(log_normal(128 * 8))
    if alike:
        groups = lengths.view(128, 8)[torch.randperm(128, generator=generator)]
    else:
        groups = lengths[torch.randperm(len(lengths), generator=generator)].view(128, 8)
    for costs in groups.sum(1).split(64):
        assert ratio(costs.tolist(), longest_first(costs.tolist(), 8)) <= 1.05
        assert ratio(costs.tolist(), [place % 8 for place in range(64)]) > 1.05


def ratio(costs, owners):
    loads = [sum(cost for cost, owner in zip(costs, owners, strict=True) if owner == rank) for rank in range(8)]
    return max(loads) / fmean(loads)


def sampled(lengths, size=2):
    """Groups of `size` rollouts of these lengths; a token's id and its log-probability tell whose it is."""
    n, longest = len(lengths), max(lengths, default=0)
    mask = torch.arange(longest) < torch.tensor(lengths, dtype=torch.int64)[:, None]
    ids = torch.tensor([[100 * length + t for t in range(longest)] for length in lengths]).view(n, longest) * mask
    none, zeros = torch.zeros(n, longest, dtype=torch.bool), torch.zeros(n, longest)
    return Rollouts(
        prompt_ids=torch.tensor(lengths, dtype=torch.int64)[:, None],
        prompt_lengths=torch.ones(n, dtype=torch.int64),
        response_ids=ids,
        response_lengths=torch.tensor(lengths, dtype=torch.int64),
        group=torch.arange(n) // size,
        origin=torch.zeros(n, dtype=torch.int64),
        logprobs=-ids.float(),
        entropies=zeros,
        gate_weights=zeros,
        guided=none,
        replaced=none,
        given=none,
        train_mask=mask,
        truncated=none.any(1),
        rewards=torch.zeros(n),
        reward_parts={"words": torch.zeros(n)},
        reward_range=1.0,
        temperature=1.0,
        alpha=1.0,
        gamma=1.0,
        step=0,
        policy_updates=0,
        texts=("",) * n,
    )


@pytest.fixture
def on_ranks(monkeypatch):
    """Runs `work(rank)` on each of `count` ranks, which are threads that exchange what collectives would."""

    def run(count, work):
        here, meet, told, found = (
            threading.local(),
            threading.Barrier(count, timeout=60),
            [None] * count,
            [None] * count,
        )

        def all_objects(value):
            told[here.rank] = value
            meet.wait()
            everyone = list(told)
            meet.wait()
            return everyone

        monkeypatch.setattr(dealing, "rank", lambda: here.rank)
        monkeypatch.setattr(dealing, "world_size", lambda: count)
        monkeypatch.setattr(dealing, "all_objects", all_objects)
        monkeypatch.setattr(
            dealing, "exchanged", lambda parts, device: [theirs[here.rank] for theirs in all_objects(parts)]
        )

        def one(rank):
            here.rank = rank
            found[rank] = work(rank)

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found

    return run


def test_groups_change_hands_whole_with_all_that_is_known_of_their_tokens(on_ranks):
    """Rank 0 has groups of 5 + 4 and 1 + 2 tokens and one that is not read, rank 1 one of 3 + 3."""
    ranks = [sampled([5, 4, 1, 2, 6, 6]), sampled([3, 3])]
    rows = [torch.tensor([0, 1, 2, 3]), torch.tensor([0, 1])]
    advantages = [torch.arange(6.0), torch.tensor([[7.0, 7, 7], [8, 8, 8]])]
    first, second = on_ranks(2, lambda rank: Deal(ranks[rank], advantages[rank], rows[rank]))
    assert first.rollouts.response_lengths.tolist() == [5, 4]
    assert second.rollouts.response_lengths.tolist() == [1, 2, 3, 3]
    assert second.rollouts.group.tolist() == [0, 0, 1, 1]
    assert second.rollouts.prompt_ids.tolist() == [[1], [2], [3], [3]]
    assert second.rollouts.response_ids.tolist() == [[100, 0, 0], [200, 201, 0], [300, 301, 302], [300, 301, 302]]
    assert torch.equal(second.rollouts.logprobs, -second.rollouts.response_ids.float())
    assert torch.equal(second.rollouts.train_mask, second.rollouts.mask)
    assert (first.rows.tolist(), second.rows.tolist()) == ([0, 1], [0, 1, 2, 3])
    assert first.advantages.tolist() == [[0] * 5, [1] * 5]
    assert second.advantages[:, 0].tolist() == [2, 3, 7, 8]


def test_a_group_costs_its_responses_and_its_context_once():
    rollouts = replace(sampled([5, 4, 1, 2]), prompt_lengths=torch.tensor([7, 7, 3, 9]))
    rows, place = torch.tensor([1, 2, 3]), torch.tensor([0, 1, 1])
    assert dealing._costs(rollouts, rows, place, 2) == [4 + 7, 1 + 2 + 9]


def test_what_was_read_of_them_comes_back_to_their_places(on_ranks):
    ranks = [sampled([2, 2, 9, 8, 1, 1]), sampled([3, 3, 7, 5]), sampled([])]
    rows = [torch.tensor([0, 1, 3, 5]), torch.arange(4), torch.arange(0)]

    def work(rank):
        deal = Deal(ranks[rank], ranks[rank].logprobs, rows[rank])
        return deal.home(2 * deal.rollouts.logprobs)

    for rank, found in enumerate(on_ranks(3, work)):
        assert torch.equal(found, 2 * ranks[rank].logprobs[rows[rank]])


def test_a_rank_that_is_dealt_nothing_has_a_token_that_is_not_learned_from(on_ranks):
    ranks = [sampled([4, 4]), sampled([])]
    _, second = on_ranks(2, lambda rank: Deal(ranks[rank], ranks[rank].logprobs, torch.arange(len(ranks[rank]))))
    assert second.rows.tolist() == []
    assert second.rollouts.response_lengths.tolist() == second.rollouts.prompt_lengths.tolist() == [1]
    assert second.rollouts.response_ids.tolist() == second.advantages.tolist() == [[0]]
    assert not second.rollouts.train_mask.any()


def test_one_process_keeps_its_own():
    rollouts, advantages, rows = sampled([4, 4, 1, 1]), torch.ones(4), torch.tensor([2, 3])
    deal = Deal(rollouts, advantages, rows)
    assert (deal.rollouts, deal.advantages, deal.rows) == (rollouts, advantages, rows)
    assert torch.equal(deal.home(rollouts.logprobs), rollouts.logprobs[2:])
