"""Gradients of a mini-batch are those of the equations, whatever the micro-batches, the ranks and the rows read."""

import math
from dataclasses import replace

import pytest
import torch
from runs import SPLIT, Batches, Gradients

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.base import LossOutputs, Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.training.update import Update
from mentor_pl.types import Origin


def test_micro_batches_give_the_gradient_of_the_undivided_mini_batch(run):
    gradients = []
    for budget in (100_000, 40):  # 16 rollouts of up to 11 tokens: all at once, 3 or 4 at a time
        seen = Gradients()
        run(steps=1, callbacks=[seen], module_options={"micro_batch_tokens": budget, "max_grad_norm": 1e9}).fit()
        gradients.append(seen.steps)
    whole, divided = gradients
    assert len(whole) == 2  # two mini-batches
    for a, b in zip(whole[0], divided[0], strict=True):
        assert (a - b).norm() <= 1e-6 * a.norm()


def test_gradient_is_that_of_the_token_mean_written_out(run):
    """The loss of the first mini-batch from one plain forward over all its rows, equation [9] written out."""
    seen, batches = Gradients(), Batches()
    job = run(steps=1, callbacks=[seen, batches], module_options={"max_grad_norm": 1e9})
    job.fit()
    rollouts = batches.rollouts[0]
    fresh = run(steps=1)
    fresh.trainer.strategy.connect(fresh.module)
    fresh.module._trainer = fresh.trainer
    fresh.module.configure_model()
    policy = fresh.module.policy.eval()

    total, tokens = torch.zeros(()), 0
    for group in (0, 1):  # the first mini-batch holds two of the four prompts
        rows = range(group * 8, group * 8 + 8)
        on = [float(rollouts.rewards[i]) for i in rows if rollouts.origin[i] == Origin.POLICY]
        mean = sum(on) / len(on)
        std = math.sqrt(sum((r - mean) ** 2 for r in on) / (len(on) - 1))
        for i in rows:
            reward = float(rollouts.rewards[i])
            advantage = (
                max(0.0, reward - mean) if rollouts.origin[i] == Origin.MIXTURE else (reward - mean) / (std + 1e-6)
            )
            n, t = int(rollouts.prompt_lengths[i]), int(rollouts.response_lengths[i])
            ids = torch.cat([rollouts.prompt_ids[i, :n], rollouts.response_ids[i, :t]])
            logits = policy(ids[None]).logits[0, n - 1 : n + t - 1, : fresh.module.vocabulary.size]
            logprobs = logits.log_softmax(-1).gather(1, ids[n:, None]).squeeze(1)
            ratio = (logprobs - rollouts.logprobs[i, :t]).exp()
            total = total - torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.28) * advantage).sum()
            tokens += t
    (total / tokens).backward()
    for ours, expected in zip(seen.steps[0], policy.parameters(), strict=True):
        assert (ours - expected.grad).abs().max() <= 1e-6


class _Unskipped(ClippedSurrogate):
    skips_zero_advantage = False


@pytest.fixture
def reads(monkeypatch):
    """Rows of every forward of training."""
    seen, score = [], Update._logprobs
    monkeypatch.setattr(Update, "_logprobs", lambda *some: seen.append(some[2].tolist()) or score(*some))
    return seen


@pytest.mark.parametrize("options", [{}, SPLIT])
def test_rollouts_without_advantage_are_not_read_and_the_gradient_is_the_same(run, reads, options):
    gradients, metrics, batches, read = [], [], Batches(), []
    for loss in (_Unskipped(), ClippedSurrogate()):
        reads.clear()
        seen = Gradients()
        module_options = {"max_grad_norm": 1e9, "mini_batches": 1, **options}
        job = run(steps=1, algorithm=Mentor(loss=loss), callbacks=[seen, batches], module_options=module_options)
        job.fit()
        gradients.append(seen.steps[0])
        metrics.append(job.trainer.callback_metrics)
        read.append(sorted(row for rows in reads for row in rows))
    rollouts = batches.rollouts[1]
    advantages = Mentor().advantages(rollouts)
    assert read[0] == list(range(32))
    assert read[1] == advantages.nonzero().flatten().tolist()
    assert 0 < len(read[1]) < 32
    for whole, fewer in zip(*gradients, strict=True):
        assert (whole - fewer).norm() <= 1e-6 * whole.norm()
    for name in ("loss", "entropy"):  # over all tokens, read or not
        assert float(metrics[0][f"train/{name}"]) == pytest.approx(float(metrics[1][f"train/{name}"]), rel=1e-5)


class _Equal(Reward):
    """Nobody is better than anybody."""

    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(0.5)


def test_a_batch_that_teaches_nothing_costs_one_pass_and_has_a_gradient_of_zeros(run, reads):
    seen = Gradients()
    run(steps=1, callbacks=[seen], module_options={"mini_batches": 1}, data_options={"reward": _Equal()}).fit()
    assert len(reads) == 1
    assert len(reads[0]) == 1
    assert all((gradient == 0).all() for gradient in seen.steps[0])


def test_a_rank_without_groups_for_a_mini_batch_takes_its_part(run, reads):
    """One prompt for two mini-batches, as when an algorithm leaves problems out."""

    class One(GRPO):
        def rounds(self, step):
            yield from super().rounds(replace(step, prompts=step.prompts[:1]))

    seen = Gradients()
    run(steps=1, algorithm=One(8), callbacks=[seen]).fit()
    first, second = seen.steps
    assert any(gradient.any() for gradient in first)
    assert not any(gradient.any() for gradient in second)


class _Mean(Term):
    """−A · log π over tokens or over rollouts, times a coefficient."""

    def __init__(self, name, coefficient=1.0, rows=False):
        self.name, self.coefficient, self.rows = name, coefficient, rows

    def weight(self, tokens):
        return tokens.mask.any(1).sum() if self.rows else tokens.mask.sum()

    def __call__(self, batch):
        return LossOutputs(-(batch.advantages * batch.logprobs * batch.mask).sum())


def test_terms_add_up_each_by_its_coefficient_and_over_its_own_global_weight(run):
    """Two terms of one numerator: ½ over tokens and 2 over rollouts are one over tokens with both factors."""
    gradients, metrics = [], []
    for terms in ([_Mean("all", 0.5), _Mean("rows", 2.0, rows=True)], [_Mean("all")], [_Mean("rows", rows=True)]):
        algorithm, seen = Mentor(), Gradients()
        algorithm.terms = lambda terms=terms: terms
        options = {"max_grad_norm": 1e9, "micro_batch_tokens": 60}
        job = run(steps=1, algorithm=algorithm, callbacks=[seen], module_options=options)
        job.fit()
        gradients.append(seen.steps[0])
        metrics.append(job.trainer.callback_metrics)
    for both, tokens, rows in zip(*gradients, strict=True):
        expected = 0.5 * tokens + 2.0 * rows
        assert (both - expected).norm() <= 1e-5 * expected.norm()
    assert {"train/loss", "train/all", "train/rows"} <= metrics[0].keys()
    assert "train/all" not in metrics[1]  # one term is the loss
    step = {name: float(value) for name, value in metrics[0].items()}
    assert step["train/loss"] == pytest.approx(0.5 * step["train/all"] + 2.0 * step["train/rows"], rel=1e-5)


def test_tokens_outside_the_train_mask_carry_neither_gradient_nor_weight(run):
    class Prefix(GRPO):
        def train_mask(self, rollouts):
            return rollouts.mask & (torch.arange(rollouts.mask.shape[1]) < 2)

    class PrefixByHand(GRPO):
        def terms(self):
            class Prefixed(ClippedSurrogate):
                def weight(self, tokens):
                    return tokens.mask[:, :2].sum()

                def __call__(self, batch):
                    return super().__call__(replace(batch, mask=batch.mask & (torch.arange(batch.mask.shape[1]) < 2)))

            return [Prefixed()]

    gradients = []
    for algorithm in (Prefix(8), PrefixByHand(8)):
        seen = Gradients()
        run(steps=1, algorithm=algorithm, callbacks=[seen], module_options={"max_grad_norm": 1e9}).fit()
        gradients.append(seen.steps)
    for ours, by_hand in zip(*gradients, strict=True):
        assert all((a - b).abs().max() <= 1e-7 for a, b in zip(ours, by_hand, strict=True))
