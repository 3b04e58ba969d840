"""Whole runs: methods side by side, models that are asked for, what is refused, and what is kept."""

import logging
import math
from dataclasses import replace
from types import SimpleNamespace

import lightning.pytorch as L
import pytest
import torch

from callbacks import AlphaDecay
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.kdrl import KDRL
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.base import LossOutputs, Term
from mentor_pl.algorithms.trb import TRB
from mentor_pl.models.lora import LoRA
from mentor_pl.models.placement import Offloaded
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import DivergenceError, UsageError
from mentor_pl.training.loader import RolloutLoader
from mentor_pl.training.module import MentorModule


def test_grpo_learns_by_its_own_equations_written_out(run, equal_weights):
    class PlainGRPO(GRPO):
        def advantages(self, rollouts):
            rewards = rollouts.rewards.view(-1, 8).double()
            distance = rewards - rewards.mean(-1, keepdim=True)
            variance = distance.square().sum(-1, keepdim=True) / 7
            return (distance / (variance.sqrt() + 1e-6)).float().flatten()

    assert equal_weights(run(algorithm=GRPO(8)).fit(), run(algorithm=PlainGRPO(8)).fit())


def test_alpha_zero_refills_the_group_and_is_plain_grpo_bit_for_bit(run, equal_weights):
    ended = run(algorithm=Mentor(4, 4), module_options={"alpha": 0.0}).fit()
    grpo = run(algorithm=GRPO(8), module_options={"expert": None}).fit()
    assert equal_weights(ended, grpo)
    assert not equal_weights(ended, run(algorithm=Mentor(4, 4)).fit())


def test_an_algorithm_without_an_expert_loads_none_and_says_so(run, equal_weights, caplog):
    job = run(algorithm=GRPO(8))  # beside model.expert
    weights = job.fit()
    assert job.module.models.expert is None
    (line,) = [record.getMessage() for record in caplog.records if "asks no expert" in record.getMessage()]
    assert line.endswith("is not loaded")
    assert equal_weights(weights, run(algorithm=GRPO(8), module_options={"expert": None}).fit())


def test_an_algorithm_that_asks_an_expert_is_refused_without_one(run):
    with pytest.raises(UsageError, match=r"algorithm Mentor asks an expert, but model\.expert is null.*grpo\.yaml"):
        run(module_options={"expert": None}).fit()


@pytest.mark.parametrize(
    ("callbacks", "algorithm", "said"), [([], None, 1), ([AlphaDecay()], None, 0), ([], GRPO(8), 0)]
)
def test_mentor_without_a_callback_that_moves_alpha_says_so_in_one_line(run, callbacks, algorithm, said, caplog):
    run(steps=1, algorithm=algorithm, callbacks=callbacks).fit()
    lines = [text for text in map(logging.LogRecord.getMessage, caplog.records) if "no callback has set α" in text]
    assert len(lines) == said
    assert all("callbacks.AlphaDecay" in line and "\n" not in line for line in lines)


@pytest.mark.parametrize(
    ("placement", "message"),
    [
        ("offloaded", r"is offloaded, but this run is on the CPU"),
        ("sharded", r"is sharded, but the one pro"),
    ],
)
def test_a_placement_of_the_expert_that_would_do_nothing_is_refused(run, placement, message):
    with pytest.raises(UsageError, match=rf"model\.expert_placement {message}.*: take replicated, or"):
        run(module_options={"expert_placement": placement}).fit()


def test_the_expert_is_whole_where_it_is_asked_and_only_there(run, monkeypatch, equal_weights):
    """MENTOR asks while it samples, KDRL while it learns, TRB in both."""
    for algorithm, uses in ((Mentor(), 1), (KDRL(), 1), (TRB(), 2)):
        weights, used = run(steps=1, algorithm=algorithm).fit(), []
        job = run(steps=1, algorithm=algorithm)

        def offloaded(model, device, placement, used=used):
            class Counting(Offloaded):
                def in_use(self):
                    used.append(1)
                    return super().in_use()

            return Counting(model, device)

        monkeypatch.setattr("mentor_pl.training.frozen_models.placed", offloaded)
        assert equal_weights(weights, job.fit())
        assert len(used) == uses
        monkeypatch.undo()


def test_rollouts_of_older_weights_stop_the_run(run, monkeypatch):
    produce = RolloutLoader.__iter__

    def ahead(self):  # what a loader without length would get from Lightning: the next batch before this one's update
        batches = produce(self)
        held = next(batches)
        for rollouts in batches:
            yield held
            held = replace(rollouts, policy_updates=rollouts.policy_updates - 2)
        yield held

    monkeypatch.setattr(RolloutLoader, "__iter__", ahead)
    with pytest.raises(RuntimeError, match="sampled after"):
        run(steps=3).fit()


class _Overrunning(Reward):
    """Every response of the problem asked first overruns, in both of two rewards that are summed."""

    range = (0.0, 1.0)
    first = None

    def grade(self, prompt, response):
        self.first = self.first or prompt
        overrun = float(prompt is self.first)
        return Grade(0.0, {"timeout": overrun, "timeout_2": overrun, "outcome": overrun})


def test_overruns_are_counted_over_all_rewards(run):
    job = run(steps=1, algorithm=GRPO(5), data_options={"reward": _Overrunning()})
    job.fit()
    assert job.trainer.callback_metrics["reward/timeouts"].item() == 2 * 5
    job = run(steps=1)
    job.fit()
    assert "reward/timeouts" not in job.trainer.callback_metrics


class _Poisoned(Term):
    """A loss that is no number at some optimizer steps, counted from 1."""

    name = "poisoned"

    def __init__(self, *bad):
        self.bad, self.calls = bad, 0

    def weight(self, tokens):
        return tokens.mask.sum()

    def __call__(self, batch):
        self.calls += 1
        return LossOutputs(batch.logprobs.sum() * (math.nan if self.calls in self.bad else 1e-3))


def test_an_update_whose_loss_is_no_number_is_skipped_and_counted(run, equal_weights):
    class Start(L.Callback):
        def on_train_start(self, trainer, pl_module):
            self.weights = {name: value.detach().clone() for name, value in pl_module.policy.state_dict().items()}

    start = Start()
    job = run(steps=1, algorithm=Mentor(loss=_Poisoned(1, 2)), callbacks=[start])
    with pytest.warns(match=r"step 1: loss or gradient is no number \(.*loss nan.*\): this update is skipped"):
        weights = job.fit()
    assert equal_weights(start.weights, weights)
    assert job.trainer.callback_metrics["train/skipped_updates"] == 2

    job = run(steps=2, algorithm=Mentor(loss=_Poisoned(2)), callbacks=[start])
    with pytest.warns(match="this update is skipped"):
        weights = job.fit()
    assert not equal_weights(start.weights, weights)
    assert job.trainer.global_step == 3
    assert job.trainer.callback_metrics["train/skipped_updates"] == 0  # of the last step


@pytest.mark.filterwarnings("ignore:step:UserWarning")
def test_a_loss_that_is_no_number_ten_times_in_a_row_ends_the_run(run):
    job = run(steps=9, algorithm=Mentor(loss=_Poisoned(*range(3, 99))))
    with pytest.raises(DivergenceError, match=r"step 6: .* 10 updates in a row \(.*loss nan.*--resume_changes"):
        job.fit()
    assert job.trainer.global_step == 2


def test_the_expert_is_in_no_checkpoint_and_no_optimizer(run):
    job = run(steps=1)
    job.fit()
    assert all(name.startswith("policy.") for name in job.module.state_dict())
    assert not any(p.requires_grad for p in job.module.models.expert.parameters())
    owned = {id(p) for group in job.trainer.optimizers[0].param_groups for p in group["params"]}
    assert owned == {id(p) for p in job.module.policy.parameters()}
    assert not job.module.models.expert.training


def test_warmup_raises_the_learning_rate_linearly(run):
    class Rates(L.Callback):
        def __init__(self):
            self.seen = []

        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            self.seen.append(optimizer.param_groups[0]["lr"])

    rates = Rates()
    run(steps=2, callbacks=[rates], module_options={"warmup_steps": 3}).fit()
    assert rates.seen == pytest.approx([0.0025, 0.005, 0.0075, 0.01])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": -0.1}, "model.alpha is -0.1"),
        ({"mini_batches": 0}, "model.mini_batches is 0"),
        ({"max_grad_norm": 0.0}, "model.max_grad_norm is 0.0"),
        ({"policy": "no/such/folder"}, "policy 'no/such/folder': no such folder"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_weights_are_loaded(llama_folder, options, message):
    with pytest.raises(UsageError, match=message):
        MentorModule(**{"policy": str(llama_folder), **options})


def test_an_adapter_without_peft_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr("mentor_pl.models.lora.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"model\.adapter needs peft, .*: run `pip install mentor-pl\[lora\]`"):
        LoRA(rank=4)


def test_ddp_is_refused_with_the_remedy(run):
    job = run(trainer_options={"strategy": "ddp"})
    job.module._trainer = job.trainer
    with pytest.raises(UsageError, match="FSDP2Strategy"):
        job.module.configure_model()


def test_a_mesh_that_leaves_ranks_out_of_data_parallelism_is_refused(run, monkeypatch):
    """Lightning's ModelParallelStrategy by default: all devices tensor-parallel, gradients of ranks never summed."""
    job = run()
    job.module._trainer = job.trainer
    job.module._device_mesh = {"data_parallel": SimpleNamespace(size=lambda: 1)}
    monkeypatch.setattr("mentor_pl.runtime.parallel.world_size", lambda: 2)
    with pytest.raises(UsageError, match=r"has 1 data-parallel ranks for 2 processes.*FSDP2Strategy"):
        job.module.configure_model()


def test_pure_half_precision_is_refused_with_the_remedy(run):
    job = run(trainer_options={"precision": "bf16-true"})
    with pytest.raises(UsageError, match="bf16-mixed or 32-true"):
        job.fit()


def test_bf16_mixed_trains(run):
    weights = run(steps=1, trainer_options={"precision": "bf16-mixed"}).fit()
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights.values())


def test_gradient_checkpointing_changes_no_gradient(run, equal_weights):
    plain = run(steps=1).fit()
    assert equal_weights(plain, run(steps=1, module_options={"gradient_checkpointing": True}).fit())


def test_the_time_of_attempts_before_does_not_count(run, tmp_path):
    hour = {"trainer_options": {"max_time": "00:01:00:00"}}
    first = run(steps=1, **hour)
    first.fit()
    path = tmp_path / "one.ckpt"
    first.trainer.save_checkpoint(path)
    saved = torch.load(path, weights_only=True)
    saved["callbacks"]["Timer"]["time_elapsed"]["train"] = 7200.0
    torch.save(saved, path)
    second = run(steps=3, **hour)
    second.fit(ckpt_path=str(path))
    assert second.module.steps_done == 3
