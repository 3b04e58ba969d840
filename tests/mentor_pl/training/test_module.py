import logging
import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import lightning.pytorch as L
import pytest
import torch

from callbacks import AlphaDecay
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.base import LossOutputs, Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import DivergenceError, UsageError
from mentor_pl.training.data import RolloutLoader
from mentor_pl.training.module import MentorModule
from mentor_pl.training.update import Update
from mentor_pl.types import Origin


class Gradients(L.Callback):
    """Keeps the gradients of every optimizer step, before clipping has changed nothing (no clipping here)."""

    def __init__(self):
        self.steps = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.steps.append([p.grad.clone() for p in pl_module.policy.parameters()])


class Batches(L.Callback):
    """Keeps every batch of rollouts."""

    def __init__(self):
        self.rollouts = []

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.rollouts.append(batch)


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


SPLIT = {"micro_batch_tokens": 60}  # of a mini-batch's 16 rollouts 5 or more at a time
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
        def rounds(self, prompts, alpha, draw):
            yield from super().rounds(prompts[:1], alpha, draw)

    seen = Gradients()
    run(steps=1, algorithm=One(8), callbacks=[seen]).fit()
    first, second = seen.steps
    assert any(gradient.any() for gradient in first)
    assert not any(gradient.any() for gradient in second)


class _Late(Reward):
    """Every response of the problem asked first overruns, in both of two rewards that are summed."""

    range = (0.0, 1.0)
    first = None

    def grade(self, prompt, response):
        self.first = self.first or prompt
        late = float(prompt is self.first)
        return Grade(0.0, {"timeout": late, "timeout_2": late, "outcome": late})


def test_overruns_are_counted_over_all_rewards(run):
    job = run(steps=1, algorithm=GRPO(5), data_options={"reward": _Late()})
    job.fit()
    assert job.trainer.callback_metrics["reward/timeouts"].item() == 2 * 5
    job = run(steps=1)
    job.fit()
    assert "reward/timeouts" not in job.trainer.callback_metrics


class _Poisoned(Term):
    """A loss that is no number at the third optimizer step."""

    name = "poisoned"
    calls = 0

    def weight(self, tokens):
        return tokens.mask.sum()

    def __call__(self, batch):
        self.calls += 1
        return LossOutputs(batch.logprobs.sum() * (math.nan if self.calls == 3 else 1e-3))


def test_a_loss_that_is_no_number_stops_with_statistics_and_spares_the_weights(run, equal_weights, tmp_path):
    after_two = run(steps=1, algorithm=Mentor(loss=_Poisoned())).fit()
    job = run(steps=3, algorithm=Mentor(loss=_Poisoned()))
    with pytest.raises(DivergenceError, match=r"step 1: .*grad_norm nan, loss nan, entropy \d") as stopped:
        job.fit()
    assert "\n" not in str(stopped.value)
    assert equal_weights(after_two, job.module.policy.state_dict())


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
            class Cut(ClippedSurrogate):
                def weight(self, tokens):
                    return tokens.mask[:, :2].sum()

                def __call__(self, batch):
                    return super().__call__(replace(batch, mask=batch.mask & (torch.arange(batch.mask.shape[1]) < 2)))

            return [Cut()]

    gradients = []
    for algorithm in (Prefix(8), PrefixByHand(8)):
        seen = Gradients()
        run(steps=1, algorithm=algorithm, callbacks=[seen], module_options={"max_grad_norm": 1e9}).fit()
        gradients.append(seen.steps)
    for ours, by_hand in zip(*gradients, strict=True):
        assert all((a - b).abs().max() <= 1e-7 for a, b in zip(ours, by_hand, strict=True))
