"""Weights, gradients and optimizer states are those of a real run; settings are found that fit."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.dry_run import tensor_bytes
from mentor_pl.models.loading import Vocabulary, load_policy
from mentor_pl.models.source import ModelSource
from mentor_pl.training.fitting import fitting, ranks_that_fit
from mentor_pl.training.memory import MemoryEstimate, Part, optimizer_bytes, peak
from mentor_pl.training.plan import Plan

PLAN = Plan(
    ranks=1, sharded=False, half=False, cuda=False, gradient_checkpointing=False, micro_batch_tokens=4096,
    mini_batches=2, prompts=8, prompt_tokens=12, sampling=SamplingParams(max_new_tokens=100), rows=64,
    cache_tokens=2**18,
)  # fmt: skip


@pytest.fixture(scope="module")
def estimate(qwen2_folder, qwen2_expert_folder):
    policy, expert = ModelSource(str(qwen2_folder), "policy"), ModelSource(str(qwen2_expert_folder), "expert")
    algorithm = Mentor()
    guidance = Coin().guidance(algorithm.blend)
    optimizer = partial(torch.optim.AdamW, lr=1e-3)
    return MemoryEstimate(policy, expert, Vocabulary(320, (0,), 512), algorithm, optimizer, guidance, [(4, 0), (0, 4)])


def of(estimate, plan, start):
    (part,) = [part for part in estimate.parts(plan) if part.name.startswith(start)]
    return part.bytes


OPTIMIZERS = [
    partial(torch.optim.AdamW, lr=0.1),
    partial(torch.optim.AdamW, lr=0.1, amsgrad=True),
    partial(torch.optim.SGD, lr=0.1),
    partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    partial(torch.optim.RMSprop, lr=0.1),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["AdamW", "AMSGrad", "SGD", "momentum", "RMSprop"])
def test_optimizer_states_are_those_after_a_real_step(optimizer, qwen2_folder):
    policy = load_policy(ModelSource(str(qwen2_folder), "policy"))
    made = optimizer(policy.parameters())
    for parameter in policy.parameters():
        parameter.grad = torch.ones_like(parameter)
    made.step()
    states = [v for state in made.state.values() for v in state.values() if isinstance(v, torch.Tensor)]
    assert optimizer_bytes(optimizer, [p.shape for p in policy.parameters()]) == tensor_bytes(states)


def test_an_optimizer_that_reads_its_numbers_is_not_known():
    assert optimizer_bytes(partial(torch.optim.Adafactor, lr=0.1), [torch.Size((3, 2))]) is None


def test_weights_gradients_and_states_are_exact(estimate, qwen2_folder):
    policy = load_policy(ModelSource(str(qwen2_folder), "policy"))
    weights, count = tensor_bytes(policy.parameters()), len(list(policy.parameters()))
    assert of(estimate, PLAN, "policy weights") == weights + tensor_bytes(policy.buffers())
    assert of(estimate, PLAN, "gradients") == weights
    assert of(estimate, PLAN, "optimizer states") == 2 * weights + 4 * count  # and a counter each


def test_sharding_divides_what_is_trained_and_gathers_it_to_decode(estimate):
    alone, half = PLAN, replace(PLAN, ranks=2, sharded=True, half=True)
    whole = estimate.policy.parameters
    assert all(shape[0] % 2 == 0 for shape in estimate.policy.shard_shapes(1))  # so halves are exact
    assert of(estimate, half, "gradients") * 2 == of(estimate, alone, "gradients")
    assert of(estimate, half, "policy weights, gathered") == 2 * whole
    assert of(estimate, half, "expert weights, bfloat16") < of(estimate, alone, "expert weights, float32")


def test_the_peak_is_what_stays_and_the_larger_of_both_phases():
    parts = [Part("a", "always", 5), Part("b", "decoding", 3), Part("c", "decoding", 4), Part("d", "update", 6)]
    assert peak(parts) == 5 + 7


def test_settings_are_found_that_fit_and_no_more_than_needed_is_changed(estimate):
    need = peak(estimate.parts(PLAN))
    assert fitting(estimate, PLAN, need) == PLAN
    checkpointed = replace(PLAN, gradient_checkpointing=True)
    assert peak(estimate.parts(checkpointed)) < need
    assert fitting(estimate, PLAN, peak(estimate.parts(checkpointed))) == checkpointed
    static = sum(part.bytes for part in estimate.parts(PLAN) if part.when == "always")
    small = fitting(estimate, PLAN, static + 1_500_000)
    assert peak(estimate.parts(small)) <= static + 1_500_000
    assert small.micro_batch_tokens >= PLAN.longest <= small.cache_tokens


def test_where_weights_alone_are_too_much_no_setting_is_changed_but_more_ranks_may_fit(estimate):
    plan = replace(PLAN, cuda=True, sharded=True, half=True, prompts=8)
    static = sum(part.bytes for part in estimate.parts(plan) if part.when == "always")
    assert fitting(estimate, plan, static - 1) == plan
    assert ranks_that_fit(estimate, plan, 10 * static) == 2
    assert ranks_that_fit(estimate, plan, 2**30) is None  # CUDA's own, whatever is sharded
