"""The caches that decoding will need are those that the engine makes."""

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import ConstantGate, EntropyGate
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.engine.memory import OwnIds, decoding_bytes
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import decoding
from mentor_pl.models.dry_run import DryModel, tensor_bytes
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.noise import rollout_keys
from mentor_pl.types import ExpertPrompt

SAMPLING = SamplingParams(max_new_tokens=11)


def engine_of(models, guidance, half=False, **options):
    """The engine once it has decoded 6 rollouts, 4 at a time."""
    numbers = torch.arange(6)
    keys = rollout_keys(1, 0, numbers, numbers)
    with decoding(models.policy), torch.autocast("cpu", torch.bfloat16, half, cache_enabled=False):
        engine = Engine(models, [[3, 4, 5]] * 6, keys, SAMPLING, guidance, rows=4, cache_tokens=1000, **options)
        engine.run()
    return engine


def estimated(policy, expert, models, guidance, half=False, own=None):
    """What that call is thought to hold."""
    return decoding_bytes(
        DryModel(ModelSource(str(policy), "policy"), torch.float32),
        DryModel(ModelSource(str(expert), "expert"), torch.bfloat16 if half else torch.float32),
        half,
        pages=PageTable(4, 14, 14, 0, torch.device("cpu")),
        rollouts=6,
        prompt_tokens=3,
        sampling=SAMPLING,
        vocabulary=models.vocabulary,
        guidance=guidance,
        own=own,
    )


@pytest.mark.parametrize("half", [False, True])
def test_caches_and_kept_logits_are_those_of_the_engine(half, qwen2_folder, qwen2_expert_folder, build_models):
    models = build_models(qwen2_folder, qwen2_expert_folder, stop_ids=(0,))
    models.expert.to(torch.bfloat16 if half else torch.float32)
    gate = EntropyGate()
    gate.observe([torch.full((8,), 0.5)])
    guidance = Coin().guidance(GatedMixture(gate))
    engine = engine_of(models, guidance, half)
    caches = [tensor_bytes([*runner.cache.keys, *runner.cache.values]) for runner in engine.runners]
    estimate = estimated(qwen2_folder, qwen2_expert_folder, models, guidance, half)
    assert [estimate.policy_cache, estimate.expert_cache] == caches
    if not half:  # 2 layers × keys and values × 4 slots × 2 heads × 14 places × 8 or 12 numbers of 4 bytes
        assert caches == [2 * 2 * 4 * 2 * 14 * 8 * 4, 2 * 2 * 4 * 2 * 14 * 12 * 4]
    buffers = engine.drafts.buffers
    kept = tensor_bytes([buffers.context, buffers.values, buffers.guided, buffers.replaced, engine.drafts.logits])
    assert kept <= estimate.buffers <= kept + 4096  # and columns of slots
    assert estimate.work > 0


def test_the_cache_of_an_expert_with_ids_of_its_own_is_the_engines_too(
    qwen2_folder, merges_expert_folder, build_models
):
    models = build_models(qwen2_folder, merges_expert_folder, stop_ids=(0,))
    guidance = Coin().guidance(GatedMixture(ConstantGate(0.5)))
    engine = engine_of(models, guidance, expert_prompts=[ExpertPrompt((3, 4, 5, 6, 7))] * 6)
    cache = engine.verifier.reader.runner.cache
    own = OwnIds(models.text_expert.vocabulary, 5, 1000, "cpu")
    estimate = estimated(qwen2_folder, merges_expert_folder, models, guidance, own=own)
    # 5 + 2 · 11 + 16 tokens are a page of 64 for each of 4 slots, and one is nobody's
    assert tensor_bytes([*cache.keys, *cache.values]) == 2 * 2 * (4 + 1) * 64 * 2 * 12 * 4
    assert estimate.expert_cache == 2 * 2 * (4 + 1) * 64 * 2 * 12 * 4
