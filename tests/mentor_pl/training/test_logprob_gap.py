"""Training's log π_old is sampling's, a difference is seen, and recomputing makes training independent of it."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from runs import SPLIT, Batches

from mentor_pl.training.loader import RolloutLoader
from mentor_pl.training.update import Update


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
    return job.trainer.callback_metrics["train/logprob_gap"].item()


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
    for name in ("loss", "entropy", "kl", "clipped", "logprob_gap"):
        name = f"train/{name}"
        assert torch.equal(plain.trainer.callback_metrics[name], padded.trainer.callback_metrics[name]), name
    passes = 2 * 2 * (2 if "recompute_logprobs" in options else 1)  # steps × mini-batches × (scored before, or not)
    spare = [rows for rows in forwards if len(rows) == 1]
    assert len(spare) >= 2 * passes
    assert sum(torch.equal(a, b) for a, b in pairwise(forwards)) >= passes
