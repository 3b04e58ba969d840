"""Problems drawn by difficulty: by hand, told from rollouts, and as state that resumes."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from collecting import EIGHT, THREE, GivenRounds, Learner, ScriptedSampler, WordReward, gather, row

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.rewards.base import Grade
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.signals import Stopped
from mentor_pl.training.drawing import prompts_of_step
from mentor_pl.training.pools import DifficultyPools, success_shares
from mentor_pl.types import Origin


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("share", "pool"),
    [(None, "normal"), (0.0, "hard"), (0.2, "hard"), (0.21, "normal"), (0.79, "normal"), (0.8, "easy"), (1.0, "easy")],
)
def test_a_problems_pool_is_told_by_its_success_share(share, pool):
    assert DifficultyPools().pool(share) == pool


def drawn(counts, pools, count=10, seed=0):
    """How many of each pool are drawn where so many are there."""
    shares = [1.0] * counts[0] + [None] * counts[1] + [0.0] * counts[2]
    places = pools.places(shares, count, seeded(seed))
    assert len(set(places)) == count
    found = Counter(pools.pool(shares[place]) for place in places)
    return [found[name] for name in ("easy", "normal", "hard")]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((20, 20, 20), [1, 7, 2]),
        ((20, 20, 0), [1, 9, 0]),  # filled from normal
        ((0, 20, 20), [0, 8, 2]),
        ((20, 3, 20), [5, 3, 2]),  # then from the others, easy ones first
        ((1, 3, 20), [1, 3, 6]),
        ((0, 20, 0), [0, 10, 0]),
    ],
)
def test_a_step_has_each_pools_share_and_what_is_too_small_is_filled(counts, expected):
    assert drawn(counts, DifficultyPools(easy=0.1, hard=0.2)) == expected


def test_shares_that_are_whole_numbers_of_problems_are_not_rounded_away():
    assert drawn((90, 90, 90), DifficultyPools(easy=0.29, hard=0.57), count=100) == [29, 14, 57]


def test_the_draw_is_keyed_and_the_pools_are_mixed():
    shares = [1.0] * 20 + [None] * 20 + [0.0] * 20
    pools = DifficultyPools(easy=0.5, hard=0.5)
    one, same, other = (pools.places(shares, 20, seeded(seed)) for seed in (0, 0, 1))
    assert one == same != other
    first = [pools.pool(shares[place]) for place in one[:10]]
    assert len(set(first)) == 2  # ranks and mini-batches get some of both


def rollouts_of(models, grades, **columns):
    """Rows of 1 to 4 tokens: two of problem 8, then two of problem 3."""
    grades = iter(grades)

    class Given(WordReward):
        def grade(self, prompt, response):
            return graded[len(response.text.split())]

    graded = dict(enumerate(grades, 1))
    algorithm = GivenRounds([row(EIGHT, 0), row(EIGHT, 1), row(THREE, 0), row(THREE, 1)])
    rollouts = gather(Learner(models, algorithm=algorithm), ScriptedSampler([[1, 2, 3, 4]]), reward=Given((-1.0, 1.0)))
    return replace(rollouts, **columns)


def test_the_success_share_is_the_mean_outcome(models):
    outcomes = [Grade(0.0, {"outcome": outcome}) for outcome in (1.0, 0.0, 1.0, 1.0)]
    assert success_shares(rollouts_of(models, outcomes), -1.0) == {8: 0.5, 3: 1.0}


def test_without_an_outcome_it_is_the_reward_as_a_share_of_its_range(models):
    assert success_shares(rollouts_of(models, map(Grade, (-1.0, 0.0, 1.0, 1.0))), -1.0) == {8: 0.25, 3: 1.0}


def test_ungraded_and_mixture_rollouts_do_not_count(models):
    rollouts = rollouts_of(models, [None, Grade(1.0), None, None])
    assert success_shares(rollouts, -1.0) == {8: 1.0}
    origin = torch.tensor([Origin.POLICY, Origin.MIXTURE, Origin.POLICY, Origin.POLICY])
    mixed = rollouts_of(models, map(Grade, (-1.0, 1.0, 0.0, 0.0)), origin=origin)
    assert success_shares(mixed, -1.0) == {8: 0.0, 3: 0.5}


def test_a_rollout_that_goes_on_from_an_experts_prefix_does_not_count(models):
    rollouts = rollouts_of(models, map(Grade, (-1.0, 1.0, 0.0, 1.0)))
    rollouts.given[1, 0] = rollouts.given[3, 0] = True
    assert success_shares(rollouts, -1.0) == {8: 0.0, 3: 0.5}


def test_the_shares_are_those_of_all_ranks(models, monkeypatch):
    monkeypatch.setattr("mentor_pl.training.pools.all_objects", lambda ours: [ours, {17: 0.5}])
    assert success_shares(rollouts_of(models, map(Grade, (1.0,) * 4)), -1.0) == {8: 1.0, 3: 1.0, 17: 0.5}


@pytest.fixture
def pooled(run):
    """(steps) -> a run on 40 problems of whose four a step two are to be easy and one hard."""

    def build(steps):
        pools = DifficultyPools(easy_above=0.4, hard_below=0.15, easy=0.5, hard=0.25)
        return run(steps=steps, algorithm=GRPO(4), data_options={"pools": pools})

    return build


def test_steps_are_drawn_by_what_earlier_ones_found(pooled):
    job = pooled(12)
    job.fit()
    kinds = Counter(job.data.pools.pool(share) for share in job.data.shares.values())
    assert 4 <= len(job.data.shares) <= 40
    assert min(kinds["easy"], kinds["hard"]) >= 1
    places = job.data._places(12)
    found = Counter(job.data.pools.pool(job.data.shares.get(job.data.problems.prompts[i].index)) for i in places)
    assert (found["easy"], found["hard"]) >= (min(2, kinds["easy"]), min(1, kinds["hard"]))
    logged = job.trainer.callback_metrics
    assert sum(float(logged[f"data/problems_{name}"]) for name in ("easy", "normal", "hard")) == 4


def test_four_steps_are_two_and_two_bit_for_bit(pooled, equal_weights, tmp_path):
    whole = pooled(4)
    weights = whole.fit()
    first = pooled(2)
    first.fit()
    first.trainer.save_checkpoint(tmp_path / "two.ckpt")
    second = pooled(4)
    assert equal_weights(weights, second.fit(ckpt_path=str(tmp_path / "two.ckpt")))
    assert second.data.shares == whole.data.shares
    assert set(first.data.shares) < set(whole.data.shares)


def test_a_step_that_is_stopped_leaves_the_shares_as_they_were(pooled, monkeypatch):
    job = pooled(2)
    job.fit()
    before, rollouts = dict(job.data.shares), job.data._rollouts

    def stopped(step):
        rollouts(step)
        raise Stopped(15)

    job.data._rollouts = stopped
    monkeypatch.setattr("mentor_pl.training.data.save_and_leave", lambda *some: None)
    job.data._produce(2)
    assert job.data.shares == before


def test_without_pools_there_are_epochs_and_no_state(run):
    job = run(steps=2, algorithm=GRPO(4))
    job.fit()
    assert job.data._places(5) == prompts_of_step(5, 40, 4, seed=3)
    assert job.data.shares == {}
    assert set(job.data.state_dict()) == {"samplers"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"easy": 1.5}, "easy is 1.5"),
        ({"easy": 0.5, "hard": 0.6}, "hard is 0.6, but data.pools.easy is 0.5: give at least 0 and at most 0.5"),
        ({"easy_above": 0.2, "hard_below": 0.2}, "hard_below is 0.2, but a problem is not both"),
        ({"easy_above": 1.1}, "easy_above is 1.1"),
    ],
)
def test_shares_that_cannot_be_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        DifficultyPools(**options)


def test_shares_that_fill_a_step_are_allowed():
    DifficultyPools(easy=0.9, hard=0.1)
