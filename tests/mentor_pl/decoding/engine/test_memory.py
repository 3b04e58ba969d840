"""The caches that decoding will need are those that the engine makes."""

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import EntropyGate
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.engine.memory import decoding_bytes
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import decoding
from mentor_pl.models.dry_run import DryModel, tensor_bytes
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.noise import rollout_keys

SAMPLING = SamplingParams(max_new_tokens=11)


@pytest.mark.parametrize("half", [False, True])
def test_caches_and_kept_logits_are_those_of_the_engine(half, qwen2_folder, qwen2_expert_folder, build_models):
    models = build_models(qwen2_folder, qwen2_expert_folder, stop_ids=(0,))
    dtype = torch.bfloat16 if half else torch.float32
    models.expert.to(dtype)
    gate = EntropyGate()
    gate.observe([torch.full((8,), 0.5)])
    guidance = Coin().guidance(GatedMixture(gate))
    numbers = torch.arange(6)
    keys = rollout_keys(1, 0, numbers, numbers)
    with decoding(models.policy), torch.autocast("cpu", torch.bfloat16, half, cache_enabled=False):
        engine = Engine(models, [[3, 4, 5]] * 6, keys, SAMPLING, guidance, rows=4, cache_tokens=1000)
        engine.run()
    caches = [tensor_bytes([*runner.cache.keys, *runner.cache.values]) for runner in engine.runners]
    estimate = decoding_bytes(
        DryModel(ModelSource(str(qwen2_folder), "policy"), torch.float32),
        DryModel(ModelSource(str(qwen2_expert_folder), "expert"), dtype),
        half,
        pages=PageTable(4, 14, 14, 0, torch.device("cpu")),
        rollouts=6,
        prompt_tokens=3,
        sampling=SAMPLING,
        vocabulary=models.vocabulary,
        guidance=guidance,
    )
    assert [estimate.policy_cache, estimate.expert_cache] == caches
    if not half:  # 2 layers × keys and values × 4 slots × 2 heads × 14 places × 8 or 12 numbers of 4 bytes
        assert caches == [2 * 2 * 4 * 2 * 14 * 8 * 4, 2 * 2 * 4 * 2 * 14 * 12 * 4]
    buffers = engine.drafts.buffers
    kept = tensor_bytes([buffers.context, buffers.values, buffers.guided, buffers.replaced, engine.drafts.logits])
    assert kept <= estimate.buffers <= kept + 4096  # and columns of slots
    assert estimate.work > 0


def test_without_guidance_there_is_no_expert(qwen2_folder, build_models):
    estimate = decoding_bytes(
        DryModel(ModelSource(str(qwen2_folder), "policy"), torch.float32),
        None,
        False,
        pages=PageTable(2, 14, 14, 0, torch.device("cpu")),
        rollouts=2,
        prompt_tokens=3,
        sampling=SAMPLING,
        vocabulary=build_models(qwen2_folder).vocabulary,
        guidance=None,
    )
    assert estimate.expert_cache == 0
    assert estimate.policy_cache == 2 * 2 * 2 * 2 * 14 * 8 * 4
