"""The gap's numbers by hand, over micro-batches and ranks; training's log π_old is sampling's, a difference is seen,
and recomputing makes training independent of it."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from runs import SPLIT, Batches

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.algorithms.parts.losses.sequence import SequenceSurrogate
from mentor_pl.training.loader import RolloutLoader
from mentor_pl.training.sampling_gap import SamplingGap
from mentor_pl.training.update import Update


class ByHand:
    """Five trained tokens, of which the policy drew three. Ratios .5, 2, 1 in one rollout, 1.1 and 1/0 in the other."""

    logprobs = torch.tensor([[0.5, 0.2, 1.0], [0.4, 0.0, 0.5]]).log()
    train_mask = torch.tensor([[True, True, True], [True, True, False]])
    drawn = torch.tensor([[True, False, True], [True, False, True]])


CPU = torch.device("cpu")
TRAINER = torch.tensor([[0.25, 0.4, 1.0], [0.44, 0.1, 0.9]]).log()
NUMBERS = {
    "train/logprob_gap/mean": (2 * math.log(2) + math.log(1.1)) / 4,  # of a token that a filter drops none is known
    "train/logprob_gap/max": math.log(2),
    "train/sampling_ratio/mean": (0.5 + 1 + 1.1) / 3,
    "train/sampling_ratio/clipped": 3 / 5,
    "train/sampling_ratio/capped": 1 / 3,
}


def by_hand(*batches):
    gap = SamplingGap(CPU, clip_range=(0.8, 1.28), cap=1.05)
    for rows, width in batches:
        gap.add(ByHand, torch.tensor(rows), TRAINER[rows, :width])
    return gap


@pytest.mark.parametrize("batches", [[([0, 1], 3)], [([0], 3), ([1], 2)], [([1], 3), ([0], 3)]])
def test_means_and_shares_are_over_tokens_however_they_are_read(batches):
    assert by_hand(*batches).metrics() == pytest.approx(NUMBERS, rel=1e-6)


@pytest.mark.parametrize(("here", "there"), [(([0], 3), ([1], 2)), (([1], 2), ([0], 3))])
def test_means_and_shares_are_over_the_tokens_of_all_ranks(monkeypatch, here, there):
    """The rollouts dealt to two ranks."""
    other = by_hand(there)
    monkeypatch.setattr("mentor_pl.training.sampling_gap.all_sum", lambda sums: sums + other._sums)
    monkeypatch.setattr("mentor_pl.training.sampling_gap.all_max", lambda value: torch.maximum(value, other._max))
    assert by_hand(here).metrics() == pytest.approx(NUMBERS, rel=1e-6)


def test_the_mean_ratio_is_right_to_far_less_than_float32_holds_of_one():
    """A million tokens whose ratio is 1 + 1e-6, to 1e-9."""
    batch = type("Batch", (), {"logprobs": torch.zeros(1000, 1000)})
    batch.train_mask = batch.drawn = torch.ones(1000, 1000, dtype=torch.bool)
    gap = SamplingGap(CPU)
    gap.add(batch, torch.arange(1000), torch.full((1000, 1000), 1e-6))
    assert gap.metrics()["train/sampling_ratio/mean"] - 1 == pytest.approx(1e-6, abs=1e-9)


def test_where_nothing_is_read_there_is_no_gap_and_what_is_not_asked_for_is_not_said():
    expected = {"train/logprob_gap/mean": 0.0, "train/logprob_gap/max": 0.0, "train/sampling_ratio/mean": 1.0}
    assert SamplingGap(CPU).metrics() == expected


@pytest.fixture
def corrupt(monkeypatch):
    """(row, place, difference) -> from now on that is added to the sampled log-probability there, in every batch."""

    def install(row, place, difference):
        produce = RolloutLoader.__iter__

        def batches(self):
            for rollouts in produce(self):
                logprobs = rollouts.logprobs.clone()
                logprobs[row, place] += difference
                yield replace(rollouts, logprobs=logprobs)

        monkeypatch.setattr(RolloutLoader, "__iter__", batches)

    return install


def gap(job):
    job.fit()
    return job.trainer.callback_metrics["train/logprob_gap/max"].item()


RECOMPUTE = {"recompute_logprobs": True}


@pytest.mark.parametrize("options", [{}, SPLIT, RECOMPUTE, SPLIT | RECOMPUTE])
def test_training_reproduces_the_sampled_log_probabilities(run, options):
    """Also after the weights have moved by several large steps."""
    assert 0 < gap(run(steps=3, module_options=options)) <= 1e-5


@pytest.mark.parametrize("options", [{}, SPLIT, RECOMPUTE, SPLIT | RECOMPUTE])
@pytest.mark.parametrize("row", [0, 3, 15])  # rollouts with an advantage; others are not read
def test_a_wrong_log_probability_of_the_first_mini_batch_is_the_gap(run, corrupt, options, row):
    corrupt(row, 0, -0.25)
    assert gap(run(steps=2, module_options=options)) == pytest.approx(0.25, abs=1e-5)


@pytest.mark.parametrize(("options", "seen"), [({}, False), (RECOMPUTE, True), (SPLIT | RECOMPUTE, True)])
def test_the_second_mini_batch_is_compared_only_where_it_is_recomputed_before_the_update(run, corrupt, options, seen):
    corrupt(16, 0, 0.25)  # four groups of 8: the second mini-batch begins at row 16
    assert gap(run(steps=1, module_options=options)) == pytest.approx(0.25 if seen else 0, abs=1e-5)


@pytest.mark.parametrize("options", [RECOMPUTE, SPLIT | RECOMPUTE])
def test_of_one_wrong_log_probability_mean_and_share_are_those_of_all_tokens(run, corrupt, options):
    corrupt(0, 0, -0.25)  # a policy rollout; e^0.25 is beyond 1.28
    job = run(steps=1, module_options=options)
    job.fit()
    logged = job.trainer.callback_metrics
    tokens = logged["train/response_tokens"].item()
    assert logged["train/logprob_gap/mean"].item() == pytest.approx(0.25 / tokens, abs=1e-6)
    assert logged["train/sampling_ratio/clipped"].item() == pytest.approx(1 / tokens)
    assert logged["train/sampling_ratio/mean"].item() > 1 + 0.28 / tokens


def test_a_loss_that_clips_no_tokens_has_no_share_of_them(run):
    for algorithm in (GRPO(8, loss=SequenceSurrogate()), GRPO(8)):
        job = run(steps=1, algorithm=algorithm)
        job.fit()
        clips = type(algorithm.loss) is ClippedSurrogate
        assert ("train/sampling_ratio/clipped" in job.trainer.callback_metrics) is clips


def test_padding_is_no_part_of_the_gap(run, corrupt):
    batches = Batches()
    run(steps=1, callbacks=[batches]).fit()
    lengths = batches.rollouts[0].response_lengths
    row = int(lengths[:16].argmin())
    assert lengths[row] < lengths[:16].max()
    for options in ({}, RECOMPUTE):
        corrupt(row, int(lengths[row]), 5.0)
        assert gap(run(steps=1, module_options=options)) <= 1e-5


@pytest.mark.parametrize("split", [{}, SPLIT])
def test_recomputed_log_probabilities_make_training_independent_of_the_sampled_ones(run, corrupt, equal_weights, split):
    trusted = run(steps=1, module_options=split).fit()
    recomputed = run(steps=1, module_options=split | RECOMPUTE).fit()
    for row in (0, 9, 16, 31):
        corrupt(row, 0, 1.0)
    assert equal_weights(recomputed, run(steps=1, module_options=split | RECOMPUTE).fit())
    assert not equal_weights(trusted, run(steps=1, module_options=split).fit())
    assert all((recomputed[name] - value).abs().max() <= 1e-4 for name, value in trusted.items())


@pytest.mark.parametrize("options", [SPLIT, SPLIT | RECOMPUTE])
def test_a_pass_that_only_keeps_ranks_in_step_changes_nothing(run, monkeypatch, equal_weights, options):
    """As if another rank had two micro-batches more."""
    plain, forwards = run(steps=2, module_options=options), []
    weights = plain.fit()
    monkeypatch.setattr(
        "mentor_pl.training.update.all_max", lambda value: value if value.is_floating_point() else value + 2
    )
    padded = run(steps=2, module_options=options)
    score = Update._logprobs
    monkeypatch.setattr(Update, "_logprobs", lambda *some: forwards.append(some[2]) or score(*some))
    assert equal_weights(weights, padded.fit())
    gaps = "logprob_gap/mean", "logprob_gap/max", "sampling_ratio/mean", "sampling_ratio/clipped"
    for name in ("loss", "entropy", "kl", "clipped", *gaps):
        name = f"train/{name}"
        assert torch.equal(plain.trainer.callback_metrics[name], padded.trainer.callback_metrics[name]), name
    passes = 2 * 2 * (2 if "recompute_logprobs" in options else 1)  # steps × mini-batches × (scored before, or not)
    spare = [rows for rows in forwards if len(rows) == 1]
    assert len(spare) >= 2 * passes
    assert sum(torch.equal(a, b) for a, b in pairwise(forwards)) >= passes
