"""KDRL is GRPO and a divergence."""

import pytest
import torch

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.kdrl import KDRL
from mentor_pl.runtime.errors import UsageError


def test_without_beta_it_is_grpo_bit_for_bit_and_asks_no_expert(run, equal_weights):
    assert not KDRL(beta=0.0).uses_expert
    assert equal_weights(run(algorithm=KDRL(8, beta=0.0)).fit(), run(algorithm=GRPO(8)).fit())


def test_the_divergence_is_added_with_its_weight(run):
    plain = run(steps=1, algorithm=GRPO(8), module_options={"mini_batches": 1})
    plain.fit()
    job = run(steps=1, algorithm=KDRL(8, beta=0.5), module_options={"mini_batches": 1})
    job.fit()
    ours, theirs = job.trainer.callback_metrics, plain.trainer.callback_metrics
    assert ours["train/reverse_kl"] > 0
    assert torch.isclose(ours["train/surrogate"], theirs["train/loss"], atol=1e-6)
    assert torch.isclose(ours["train/loss"], ours["train/surrogate"] + 0.5 * ours["train/reverse_kl"], atol=1e-6)


def test_a_negative_beta_is_a_usage_error():
    with pytest.raises(UsageError, match="beta is -1"):
        KDRL(beta=-1.0)
