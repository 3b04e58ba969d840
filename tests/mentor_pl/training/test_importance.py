"""Weights for the gap between sampler and trainer: by hand, for a mixture's law, without a gap, and through a run."""

import math
from dataclasses import replace

import lightning.pytorch as L
import pytest
import torch
from runs import Gradients

from mentor_pl.algorithms.distillation import Distillation
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.parts.losses.divergence import Divergence
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.importance import weighted
from mentor_pl.training.loader import RolloutLoader
from mentor_pl.training.update import Update

EVERY = torch.ones(2, 2, dtype=torch.bool)
TRAINER = torch.tensor([[0.5, 0.3], [0.1, 1.0]]).log()
SAMPLER = torch.tensor([[0.25, 0.5], [0.1, 1.0]]).log()  # ratios 2, 0.6, 1, 1


def test_advantages_are_multiplied_by_the_ratio_up_to_the_cap():
    by_rollout = weighted(torch.tensor([10.0, -1.0]), TRAINER, SAMPLER, 1.5, EVERY)
    assert torch.allclose(by_rollout, torch.tensor([[15.0, 6.0], [-1.0, -1.0]]))
    by_token = weighted(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), TRAINER, SAMPLER, 9.0, EVERY)
    assert torch.allclose(by_token, torch.tensor([[2.0, 1.2], [3.0, 4.0]]))


def test_a_token_that_the_policy_did_not_draw_keeps_its_advantage():
    """The first, guided: what the policy makes of it had no part in its draw."""
    drawn = torch.tensor([[False, True], [True, True]])
    assert torch.allclose(
        weighted(torch.tensor([10.0, -1.0]), TRAINER, SAMPLER, 1.5, drawn), torch.tensor([[10.0, 6.0], [-1.0, -1.0]])
    )
    dropped = SAMPLER.masked_fill(~drawn, -math.inf)  # by the policy's filter
    assert weighted(torch.ones(2), TRAINER, dropped, 1.5, drawn)[0, 0] == 1


def test_the_weights_of_a_mixture_are_right_for_its_law():
    """Two tokens, w = .5, π* = (.9, .1); the sampler has π = (.4, .6) where the trainer has (.5, .5). Over all draws of
    coin and token, what a token adds in weight is its probability under the mixture of the trainer's policy."""
    w, expert, sampler, trainer = 0.5, torch.tensor([0.9, 0.1]), torch.tensor([0.4, 0.6]), torch.tensor([0.5, 0.5])
    probabilities = torch.stack([(1 - w) * sampler, w * expert])  # [coin, token]
    drawn = torch.tensor([[True, True], [False, False]])
    added = weighted(probabilities, trainer.log().expand(2, 2), sampler.log().expand(2, 2), 9.0, drawn).sum(0)
    assert torch.allclose(added, torch.tensor([0.7, 0.3]))  # .5 · .5 + .5 · .9, .5 · .5 + .5 · .1


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
    assert float(logged["train/sampling_ratio/mean"]) == pytest.approx(2, abs=1e-4)
    assert float(logged["train/sampling_ratio/capped"]) == (cap == factor)


class Advantages(L.Callback):
    """Keeps a step's rollouts and the advantages that the update used."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rollouts, self.used = batch, outputs["advantages"]


def test_in_mixture_rollouts_only_tokens_that_the_policy_drew_are_weighed(run, monkeypatch):
    corrupted(monkeypatch, math.log(2))
    used = {}
    for cap in (None, 9.0):
        seen = Advantages()
        run(steps=1, callbacks=[seen], module_options={"recompute_logprobs": True, "importance_cap": cap}).fit()
        used[cap] = seen.used
    mask, guided = seen.rollouts.mask, seen.rollouts.guided
    assert guided.any()
    factors = torch.where(guided, 1.0, 2.0)
    assert (used[9.0] - factors * used[None][:, None]).abs()[mask].max() <= 1e-4 * used[None].abs().max()


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
        Update, "rescored", lambda self, rollouts, *rest: rescored(self, rollouts, *rest) * 0 + rollouts.logprobs
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
        (
            {"importance_cap": 2.0, "recompute_logprobs": True, "algorithm": Distillation(4)},
            r"multiply advantages, and the loss of Distillation \(reverse_kl\) has none: set importance_cap to null",
        ),
    ],
)
def test_a_cap_that_cannot_work_is_refused(run, options, said):
    with pytest.raises(UsageError, match=said):
        run(module_options=options)


def test_one_term_with_an_advantage_is_enough_for_a_cap(run):
    terms = [Divergence()]
    run(module_options={"importance_cap": 2.0, "recompute_logprobs": True, "algorithm": GRPO(8), "terms": terms})
