"""What a run costs: counted by hand, against what the models were fed, over ranks and over a resume."""

from dataclasses import replace

import lightning.pytorch as L
import pytest
import torch
from collecting import Learner, ScriptedSampler, gather

from mentor_pl.algorithms.base import Need
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.training.ledger import Ledger

PARAMETERS = 4 * 6 * 6  # of each of the models that look logits up


class Costly(ScriptedSampler):
    """Six and seven tokens of which the policy computed ten rows each; the expert read 9 in the second call."""

    def __call__(self, *arguments, **options):
        samples = super().__call__(*arguments, **options)
        cost = DecodeStats(tokens=int(samples.lengths.sum()), policy_tokens=10, prefill_tokens=3)
        if len(self.calls) == 2:
            cost = replace(cost, prefill_tokens=3 + 2, expert_prefill_tokens=2, expert_tokens=9)
        return replace(samples, stats=cost)


def scripted(models):
    return gather(Learner(models), Costly([[1, 2, 2, 1], [3, 4]]))


def test_a_step_by_hand(models):
    """The policy reads 2 · 10 rows and 2 · 3 prompt tokens, the expert 2 + 9; the update reads 5, there and back."""
    ledger = Ledger()
    logged = ledger.add(scripted(models), models, learned=5, seconds=2.0)
    work = 2 * PARAMETERS * (2 * 10 + 2 * 3 + 2 * 5) + 2 * PARAMETERS * (2 + 9)
    expected = {"sampled_tokens": 13, "expert_tokens": 11, "trained_tokens": 13, "flops": work}
    assert ledger.counts == expected
    assert {name: logged[f"cost/step/{name}"] for name in expected} == expected
    assert logged["cost/seconds/update"] == 2.0
    assert {name for name in logged if name.startswith("cost/seconds/")} == {
        f"cost/seconds/{part}" for part in ("sampling", "grading", "scoring", "update")
    }


def test_steps_add_up_and_what_a_model_has_read_is_charged_once(models):
    ledger, rollouts = Ledger(), scripted(models)
    models.expert.tokens_read = models.policy.tokens_read = 7  # such as by scoring
    first = ledger.add(rollouts, models, learned=0, seconds=1.0)
    second = ledger.add(rollouts, models, learned=0, seconds=2.0)
    assert (first["cost/step/expert_tokens"], second["cost/step/expert_tokens"]) == (7 + 11, 11)
    assert first["cost/step/flops"] - second["cost/step/flops"] == 2 * PARAMETERS * (7 + 7)
    assert ledger.counts["expert_tokens"] == second["cost/expert_tokens"] == 7 + 11 + 11
    assert ledger.seconds["update"] == 3.0


def test_masked_tokens_are_not_trained_on(models):
    rollouts = scripted(models)
    masked = replace(rollouts, train_mask=rollouts.train_mask & (torch.arange(4) < 2))
    assert Ledger().add(masked, models, 0, 0.0)["cost/step/trained_tokens"] == 1 + 2 + 2 + 1 + 2 + 2


def test_counts_are_sums_over_ranks_and_seconds_are_not(models, monkeypatch):
    """As if another rank had sampled and read the same."""
    rollouts, alone, both = scripted(models), Ledger(), Ledger()
    alone.add(rollouts, models, learned=5, seconds=2.0)
    monkeypatch.setattr("mentor_pl.training.ledger.all_sum", lambda value: 2 * value)
    both.add(rollouts, models, learned=5, seconds=2.0)
    assert both.counts == {name: 2 * count for name, count in alone.counts.items()}
    assert both.seconds == alone.seconds


class Fed(L.Callback):
    """Notes how many tokens each model is fed, and how many of them to be differentiated."""

    def on_train_start(self, trainer, pl_module):
        models = pl_module.models
        roles = {"policy": models.policy, "expert": models.expert, "reference": models.reference}
        self.fed, self.learned, self.parameters = dict.fromkeys(roles, 0), 0, {}
        for role, model in roles.items():
            self.parameters[role] = sum(p.numel() for p in model.parameters())
            model.base_model.register_forward_pre_hook(
                lambda _, args, options, role=role: self.count(role, options["input_ids"].numel()), with_kwargs=True
            )

    def count(self, role, tokens):
        self.fed[role] += tokens
        self.learned += tokens * torch.is_grad_enabled()


class Needy(Mentor):
    needs = frozenset({Need.EXPERT_LOGPROBS, Need.REFERENCE_LOGPROBS})


@pytest.mark.parametrize("recompute", [False, True])
def test_every_token_that_a_model_is_fed_in_a_run_is_in_the_ledger(run, recompute):
    fed = Fed()
    sampler = Coin(FixedK(3))  # which measures no timings
    options = {"module_options": {"recompute_logprobs": recompute}, "data_options": {"sampler": sampler}}
    job = run(steps=2, algorithm=Needy(), callbacks=[fed], **options)
    job.fit()
    assert 0 < fed.learned < fed.fed["policy"]
    assert min(fed.fed.values()) > 0
    work = sum(2 * fed.parameters[role] * tokens for role, tokens in fed.fed.items())
    work += 2 * fed.parameters["policy"] * 2 * fed.learned
    assert job.module.ledger.counts["expert_tokens"] == fed.fed["expert"]
    assert job.module.ledger.counts["flops"] == work


def test_a_method_without_an_expert_has_it_read_nothing(run):
    job = run(steps=1, algorithm=GRPO(4))
    job.fit()
    assert job.module.ledger.counts["expert_tokens"] == 0
    assert job.trainer.callback_metrics["cost/sampled_tokens"] == job.trainer.callback_metrics["train/response_tokens"]


def test_a_resumed_run_goes_on_with_the_sums_of_the_first(run, tmp_path):
    whole = run(steps=3)
    whole.fit()
    first = run(steps=1)
    first.fit()
    first.trainer.save_checkpoint(tmp_path / "one.ckpt")
    second = run(steps=3)
    second.fit(ckpt_path=str(tmp_path / "one.ckpt"))
    assert second.module.ledger.counts == whole.module.ledger.counts
    assert second.module.ledger.seconds["update"] > first.module.ledger.seconds["update"]
