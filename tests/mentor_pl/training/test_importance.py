"""Weights for the gap between sampler and trainer: by hand, without a gap, over ranks, and through a whole run."""

import math
from dataclasses import replace

import pytest
import torch
from runs import Gradients

from mentor_pl.algorithms.distillation import Distillation
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.importance import weighted
from mentor_pl.training.loader import RolloutLoader
from mentor_pl.training.update import Update

MASK = torch.tensor([[True, True], [True, False]])
TRAINER = torch.tensor([[0.5, 0.3], [0.1, 1.0]]).log()
SAMPLER = torch.tensor([[0.25, 0.5], [0.1, 1.0]]).log()  # ratios 2, 0.6, 1; padding 1


def test_advantages_are_multiplied_by_the_ratio_up_to_the_cap():
    by_rollout, metrics = weighted(torch.tensor([10.0, -1.0]), TRAINER, SAMPLER, 1.5, MASK)
    assert torch.allclose(by_rollout, torch.tensor([[15.0, 6.0], [-1.0, -1.0]]))
    assert metrics == pytest.approx({"train/importance": (1.5 + 0.6 + 1) / 3, "train/importance_capped": 1 / 3})
    by_token, _ = weighted(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), TRAINER, SAMPLER, 9.0, MASK)
    assert torch.allclose(by_token, torch.tensor([[2.0, 1.2], [3.0, 4.0]]))


def test_a_token_that_the_samplers_filter_dropped_has_the_caps_weight():
    weights, _ = weighted(torch.ones(2), TRAINER, SAMPLER.masked_fill(~MASK | MASK, -math.inf), 2.0, MASK)
    assert weights.tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_the_log_is_of_the_tokens_of_all_ranks(monkeypatch):
    """As if another rank had three tokens of weight 1."""
    monkeypatch.setattr("mentor_pl.training.importance.all_sum", lambda sums: sums + torch.tensor([3.0, 0.0, 3.0]))
    _, metrics = weighted(torch.ones(2), TRAINER, SAMPLER, 1.5, MASK)
    assert metrics == pytest.approx({"train/importance": (1.5 + 0.6 + 1 + 3) / 6, "train/importance_capped": 1 / 6})


def corrupted(monkeypatch, difference):
    """From now on the sampler's log-probabilities are off by so much at every token."""
    produce = RolloutLoader.__iter__

    def batches(self):
        for rollouts in produce(self):
            yield replace(rollouts, logprobs=rollouts.logprobs - difference * rollouts.mask)

    monkeypatch.setattr(RolloutLoader, "__iter__", batches)


@pytest.mark.parametrize(("cap", "factor"), [(3.0, 2.0), (1.5, 1.5)])
def test_a_run_whose_sampler_is_off_by_a_factor_has_gradients_times_that_factor(run, monkeypatch, cap, factor):
    gradients = []
    for difference in (0.0, math.log(2)):
        with monkeypatch.context() as patch:
            corrupted(patch, difference)
            options = {"recompute_logprobs": True, "importance_cap": cap, "max_grad_norm": 1e9, "mini_batches": 1}
            seen = Gradients()
            job = run(steps=1, algorithm=GRPO(8), callbacks=[seen], module_options=options)
            job.fit()
            gradients.append(seen.steps[0])
    for plain, ours in zip(*gradients, strict=True):
        assert (ours - factor * plain).norm() <= 1e-4 * ours.norm()
    logged = job.trainer.callback_metrics
    assert float(logged["train/importance"]) == pytest.approx(factor, abs=1e-4)
    assert float(logged["train/importance_capped"]) == (cap == factor)


def test_an_advantage_made_of_log_probabilities_is_made_of_those_that_were_recomputed(run, monkeypatch, equal_weights):
    weights = []
    for difference in (0.0, math.log(2)):
        with monkeypatch.context() as patch:
            corrupted(patch, difference)
            algorithm = Distillation(4, "drawn")
            weights.append(run(steps=2, algorithm=algorithm, module_options={"recompute_logprobs": True}).fit())
    assert equal_weights(*weights)


def test_without_a_gap_nothing_changes_but_rounding(run, monkeypatch):
    rescored = Update.rescored
    monkeypatch.setattr(
        Update, "rescored", lambda self, rollouts, some: (rollouts.logprobs, rescored(self, rollouts, some)[1])
    )
    weights = [
        run(steps=2, module_options={"recompute_logprobs": True, "importance_cap": cap}).fit() for cap in (None, 2.0)
    ]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"importance_cap": 2.0}, r"importance_cap is 2.0, but .* set model.recompute_logprobs to true"),
        ({"importance_cap": 0.0, "recompute_logprobs": True}, "importance_cap is 0.0"),
    ],
)
def test_a_cap_that_cannot_work_is_refused(run, options, said):
    with pytest.raises(UsageError, match=said):
        run(module_options=options)
