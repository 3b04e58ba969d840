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
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.runtime.noise import rollout_keys
from mentor_pl.types import ExpertPrompt

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


def test_the_cache_of_an_expert_with_ids_of_its_own_is_the_engines_too(
    qwen2_folder, merges_expert_folder, build_models
):
    models = build_models(qwen2_folder, merges_expert_folder, stop_ids=(0,))
    guidance = Coin().guidance(GatedMixture(ConstantGate(0.5)))
    numbers = torch.arange(6)
    keys = rollout_keys(1, 0, numbers, numbers)
    with decoding(models.policy):
        told = [ExpertPrompt((3, 4, 5, 6, 7))] * 6
        engine = Engine(
            models, [[3, 4, 5]] * 6, keys, SAMPLING, guidance, rows=4, cache_tokens=1000, expert_prompts=told
        )
        engine.run()
    cache = engine.verifier.reader.runner.cache
    estimate = decoding_bytes(
        DryModel(ModelSource(str(qwen2_folder), "policy"), torch.float32),
        DryModel(ModelSource(str(merges_expert_folder), "expert"), torch.float32),
        False,
        pages=PageTable(4, 14, 14, 0, torch.device("cpu")),
        rollouts=6,
        prompt_tokens=3,
        sampling=SAMPLING,
        vocabulary=models.vocabulary,
        guidance=guidance,
        own=OwnIds(models.text_expert.vocabulary, 5, 1000, "cpu"),
    )
    # 5 + 2 · 11 + 16 tokens are a page of 64 for each of 4 slots, and one is nobody's
    assert tensor_bytes([*cache.keys, *cache.values]) == 2 * 2 * (4 + 1) * 64 * 2 * 12 * 4
    assert estimate.expert_cache == 2 * 2 * (4 + 1) * 64 * 2 * 12 * 4
    assert estimate.work >= 7 * 4 * 4 * models.text_expert.vocabulary.size  # what 4 rows draw from


def test_an_experts_pages_are_its_devices_and_no_more_than_its_places_or_window(llama_folder):
    vocabulary = Vocabulary(64, (1,), 512)
    pages = OwnIds(vocabulary, 100, 10_000, "cuda").pages(8, 50)
    assert (pages.size, pages.count) == (256, 8 + 1)  # 216 tokens a row
    assert OwnIds(vocabulary, 100, 1000, "cuda").pages(8, 50).count == 3 + 1
    assert OwnIds(vocabulary, 100, 10_000, "cpu").pages(2, 1000).count == 2 * 8 + 1


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
