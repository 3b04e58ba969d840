import pytest
import torch

from callbacks import EntropyLogging
from mentor_pl.types import Origin, Rollouts


class Logger:
    def __init__(self):
        self.rows = []

    def log_metrics(self, metrics, step):
        self.rows.append((step, metrics))

    def save(self):
        pass


class Trainer:
    log_every_n_steps = 1
    callbacks = ()

    def __init__(self):
        self.loggers = [Logger()]


class Module:
    def __init__(self):
        self.bar = {}

    def log(self, name, value, **_):
        self.bar[name] = value


def rollouts(mixed):
    """Two rollouts of two tokens and one token; the second is mixed or not."""
    return Rollouts(
        prompt_ids=torch.ones(2, 1, dtype=torch.int64),
        prompt_lengths=torch.tensor([1, 1]),
        response_ids=torch.ones(2, 2, dtype=torch.int64),
        response_lengths=torch.tensor([2, 1]),
        logprobs=torch.zeros(2, 2),
        entropies=torch.tensor([[0.2, 0.6], [1.0, 9.0]]),  # 9 is padding
        gate_weights=torch.tensor([[0.0, 0.0], [0.5, 9.0]]),
        guided=torch.tensor([[False, False], [True, True]]),
        replaced=torch.tensor([[False, False], [False, True]]),
        truncated=torch.tensor([True, False]),
        group=torch.tensor([0, 0]),
        origin=torch.tensor([0, int(mixed)]),
        given=torch.zeros(2, 2, dtype=torch.bool),
        train_mask=torch.tensor([[True, True], [True, False]]),
        rewards=torch.tensor([0.1, 1.0]),
        reward_parts={"outcome": torch.tensor([0.0, 1.0])},
        reward_range=1.0,
        temperature=1.0,
        alpha=1.0,
        gamma=2.0,
        step=4,
        policy_updates=0,
    )


def logged(batch):
    trainer, module = Trainer(), Module()
    EntropyLogging(quantiles=(0.5,)).on_train_batch_end(trainer, module, None, batch, 0)
    ((step, metrics),) = trainer.loggers[0].rows
    return step, metrics, module.bar


def test_on_policy_and_mixed_rollouts_are_described_apart_and_without_padding():
    step, metrics, bar = logged(rollouts(mixed=True))
    assert step == 5
    assert metrics == pytest.approx(
        {
            "train/on_policy/entropy": 0.4,
            "train/on_policy/entropy_q50": 0.4,
            "train/on_policy/length": 2.0,
            "train/on_policy/truncated": 1.0,
            "train/on_policy/reward": 0.1,
            "train/on_policy/outcome": 0.0,
            "train/mixed/entropy": 1.0,
            "train/mixed/entropy_q50": 1.0,
            "train/mixed/gate_weight": 0.5,
            "train/mixed/guided": 1.0,
            "train/mixed/replaced": 0.0,
            "train/mixed/length": 1.0,
            "train/mixed/truncated": 0.0,
            "train/mixed/reward": 1.0,
            "train/mixed/outcome": 1.0,
            "train/gamma": 2.0,
        }
    )
    assert bar == pytest.approx({"reward": 0.1, "entropy": 0.4, "length": 2.0})


def test_nothing_is_said_of_guidance_where_there_is_none():
    _, metrics, _ = logged(rollouts(mixed=False))
    assert not any("mixed" in name or "gamma" in name for name in metrics)
    assert metrics["train/on_policy/entropy"] == pytest.approx(0.6)
    assert metrics["train/on_policy/length"] == 1.5


def test_rollouts_that_are_not_graded_have_entropy_and_length_but_no_reward():
    batch = rollouts(mixed=False)
    batch.rewards[1] = torch.nan
    _, metrics, bar = logged(batch)
    assert metrics["train/on_policy/reward"] == bar["reward"] == pytest.approx(0.1)
    assert metrics["train/on_policy/outcome"] == 0
    assert metrics["train/on_policy/length"] == 1.5
    assert metrics["train/on_policy/entropy"] == pytest.approx((0.2 + 0.6 + 1.0) / 3)


def test_a_step_of_demonstrations_alone_is_described_as_such_and_shown():
    batch = rollouts(mixed=False)
    batch.origin[:] = Origin.DEMONSTRATION
    _, metrics, bar = logged(batch)
    assert {name.split("/")[1] for name in metrics} == {"demonstration"}
    assert metrics["train/demonstration/entropy"] == bar["entropy"] == pytest.approx(0.6)
    assert metrics["train/demonstration/reward"] == bar["reward"] == pytest.approx(0.55)
