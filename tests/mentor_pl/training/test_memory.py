"""Weights, gradients and optimizer states are those of a real run; settings are found that fit."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from transformers import LlamaConfig

from mentor_pl.algorithms.distillation import Distillation
from mentor_pl.algorithms.kdrl import KDRL
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.reference_kl import ReferenceKL
from mentor_pl.algorithms.questa import QuestA
from mentor_pl.algorithms.tgpo import TGPO
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models import packed_weights
from mentor_pl.models.dry_run import DryModel, tensor_bytes
from mentor_pl.models.loading import load_policy
from mentor_pl.models.lora import LoRA
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.training.fitting import fitting, ranks_that_fit
from mentor_pl.training.memory import MemoryEstimate, Part, optimizer_bytes, peak
from mentor_pl.training.plan import Plan, rounds_of

PLAN = Plan(
    ranks=1, sharded=False, half=False, cuda=False, gradient_checkpointing=False, micro_batch_tokens=4096,
    mini_batches=2, prompts=8, prompt_tokens=12, sampling=SamplingParams(max_new_tokens=100), rows=64,
    cache_tokens=2**18,
)  # fmt: skip


@pytest.fixture(scope="module")
def estimate(qwen2_folder, qwen2_expert_folder):
    return estimate_of(Mentor(), qwen2_folder, qwen2_expert_folder)


def estimate_of(algorithm, policy, expert, adapter=None, expert_ids=None):
    guidance = Coin().guidance(algorithm.blend) if algorithm.blend is not None else None
    return MemoryEstimate(
        ModelSource(str(policy), "policy"),
        ModelSource(str(expert), "expert") if algorithm.uses_expert else None,
        Vocabulary(320, (0,), 512),
        algorithm,
        partial(torch.optim.AdamW, lr=1e-3),
        guidance,
        rounds_of(algorithm, PLAN.sampling.max_new_tokens, 1.0),
        adapter,
        expert_ids,
    )


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


def test_the_cache_of_an_expert_with_ids_of_its_own_has_pages_for_likely_lengths(qwen2_folder, merges_expert_folder):
    """32 mixture rollouts at a time, 50 + 2 · 100 + 16 tokens each: five pages of 64, or two of 256; and one more."""
    estimate = estimate_of(Mentor(), qwen2_folder, merges_expert_folder, expert_ids=Vocabulary(381, (0,), 512))
    plan, place = replace(PLAN, expert_prompt_tokens=50), 2 * 2 * 2 * 12 * 4  # layers, keys and values, heads, numbers
    assert of(estimate, plan, "KV cache of the expert") == (32 * 5 + 1) * 64 * place
    assert of(estimate, replace(plan, cuda=True), "KV cache of the expert") == (32 * 2 + 1) * 256 * place


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


def test_an_expert_that_lies_elsewhere_takes_its_room_while_it_is_used(estimate):
    """By MENTOR while rollouts are sampled, not in the update."""
    whole = of(estimate, PLAN, "expert weights, float32")
    for placement, rest in (("sharded", whole // 2), ("offloaded", 0)):
        plan = replace(PLAN, ranks=2, expert_placement=placement)
        found = {(part.when, part.bytes) for part in estimate.parts(plan) if part.name.startswith("expert weights")}
        assert found == {("decoding", whole)} | ({("always", rest)} if rest else set())


def test_optimizer_states_that_are_offloaded_are_held_in_the_update_alone(estimate):
    for placement, when in (("device", "always"), ("offloaded", "update")):
        found = [part for part in estimate.parts(replace(PLAN, optimizer_placement=placement)) if "states" in part.name]
        assert [(part.when, part.bytes) for part in found] == [(when, of(estimate, PLAN, "optimizer states"))]


def test_the_peak_is_what_stays_and_the_larger_of_both_phases():
    parts = [Part("a", "always", 5), Part("b", "decoding", 3), Part("c", "decoding", 4), Part("d", "update", 6)]
    assert peak(parts) == 5 + 7
    assert peak([*parts, Part("e", "scoring", 8)]) == 5 + 8


def test_a_divergence_takes_a_third_buffer(qwen2_folder, qwen2_expert_folder):
    plain, divergent = (
        estimate_of(method, qwen2_folder, qwen2_expert_folder) for method in (KDRL(beta=0.0), KDRL(beta=0.1))
    )
    chunk = of(plain, PLAN, "lm_head") // 2
    assert of(divergent, PLAN, "lm_head") == 3 * chunk


def test_what_the_expert_reads_of_responses_counts_before_or_in_the_update(qwen2_folder, qwen2_expert_folder):
    plan = replace(PLAN, gradient_checkpointing=True)
    for method, phase in ((TGPO(), "update"), (Distillation(estimator="drawn"), "scoring")):
        large = estimate_of(method, qwen2_folder, qwen2_expert_folder)
        large.reading = lambda role, *_: 10**9 if role == "expert" else 0
        assert peak(large.parts(plan)) > 10**9
        assert sum(part.bytes for part in large.parts(plan) if part.when == phase) > 10**9 - 1


def test_a_hint_takes_its_place_in_caches_and_updates_up_to_what_the_models_attend_to(qwen2_folder):
    estimate = estimate_of(QuestA(share=0.5), qwen2_folder, None)
    without = estimate_of(QuestA(share=0.0), qwen2_folder, None)
    assert estimate.hint > 50
    cache = [of(one, PLAN, "KV cache of the policy") for one in (without, estimate)]
    assert cache[1] / cache[0] == pytest.approx((PLAN.longest + estimate.hint) / PLAN.longest, rel=0.05)
    estimate.hint = 10**6
    assert of(estimate, PLAN, "KV cache of the policy") / cache[0] == pytest.approx(512 / PLAN.longest, rel=0.05)


@pytest.mark.skipif(not packed_weights._has_onednn(), reason="packs weights on x86 CPUs alone")
def test_weights_are_packed_for_a_cpu_where_they_are_large_the_experts_too_where_it_takes_part(estimate, monkeypatch):
    names = [part.name for part in estimate.parts(PLAN)]
    assert not any(name.startswith("weights packed") for name in names)
    monkeypatch.setattr(packed_weights, "LEAST_ELEMENTS", 2048)
    expected = [
        4 * layer.weight.numel()
        for role in ("policy", "expert")
        for layer in estimate.model(role, torch.float32).model.modules()
        if type(layer) is torch.nn.Linear and layer.weight.numel() >= 2048
    ]
    assert len(expected) > 4
    assert of(estimate, PLAN, "weights packed") == sum(expected)
    for plan in (replace(PLAN, half=True), replace(PLAN, cuda=True)):
        assert not any(part.name.startswith("weights packed") for part in estimate.parts(plan))


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


# ---------------------------------------------------------------- adapters

PEFT = "peft is not installed: pip install mentor-pl[lora]"


def test_of_an_adapted_policy_gradients_and_states_are_the_adapters_alone(qwen2_folder, qwen2_expert_folder):
    pytest.importorskip("peft", reason=PEFT)
    plain, adapted = (
        estimate_of(KDRL(beta=0.1), qwen2_folder, qwen2_expert_folder, adapter) for adapter in (None, LoRA(rank=2))
    )
    # in + out of q 32 + 32, k and v 32 + 16, o 32 + 32, gate and up 32 + 64, down 64 + 32, of two layers, rank 2
    few = 2 * 2 * (64 + 2 * 48 + 64 + 3 * 96)
    assert adapted.policy.trained_parameters == few == 2048
    assert adapted.policy.parameters == plain.policy.parameters + few
    assert of(adapted, PLAN, "policy weights") == of(plain, PLAN, "policy weights") + 4 * few
    assert of(adapted, PLAN, "gradients") == 4 * few
    assert of(adapted, PLAN, "optimizer states") == 2 * 4 * few + 4 * 28  # and a counter each
    half = replace(PLAN, ranks=2, sharded=True, half=True)
    assert of(adapted, half, "gradients") == 2 * few
    # in bfloat16, the largest layer twice and what is in none: their weights, and of adapters their gradients
    layer, root = plain.policy.largest_layer()
    assert of(adapted, half, "layers gathered") == 2 * (root + 2 * (layer + few // 2) + 2 * (few // 2))


def test_a_reference_of_an_adapted_policy_has_no_adapter(qwen2_folder, qwen2_expert_folder):
    pytest.importorskip("peft", reason=PEFT)
    kl = KDRL(beta=0.1)
    kl.added = (ReferenceKL(0.1),)
    plain, adapted = (estimate_of(kl, qwen2_folder, qwen2_expert_folder, adapter) for adapter in (None, LoRA(rank=2)))
    assert of(adapted, PLAN, "reference weights") == of(plain, PLAN, "reference weights")


def test_smollm2_with_adapters_of_rank_16_has_a_twentieth_of_the_optimizer_states_at_most(tmp_path):
    pytest.importorskip("peft", reason=PEFT)
    sizes = {"vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
    sizes |= {"num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True}
    (tmp_path / "smollm2.json").write_text(LlamaConfig(**sizes).to_json_string())
    source, adamw = ModelSource(str(tmp_path / "smollm2.json"), "policy"), partial(torch.optim.AdamW, lr=1e-3)
    whole, adapted = (DryModel(source, torch.float32, adapter) for adapter in (None, LoRA(rank=16)))
    # q and o 576 + 576, k and v 576 + 192, gate, up and down 576 + 1536
    assert (whole.parameters, adapted.trained_parameters) == (134_515_008, 30 * 16 * (2 * 1152 + 2 * 768 + 3 * 2112))
    states = [optimizer_bytes(adamw, one.shard_shapes(1, trained=True)) for one in (whole, adapted)]
    assert states[1] / states[0] <= 0.05
