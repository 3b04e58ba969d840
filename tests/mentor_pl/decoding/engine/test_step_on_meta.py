"""A GPU's step on tensors without memory, where what the host asks for and another device's tensor are errors."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from engine_cases import SAMPLING

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.engine.kv_cache import cached_attention


@pytest.fixture
def on_meta(pair):
    """The pair without weights, as on a device whose numbers cannot be looked at."""
    models = replace(pair, policy=deepcopy(pair.policy).to("meta"), expert=deepcopy(pair.expert).to("meta"))
    assert models.device.type == "meta"
    return models


@pytest.mark.parametrize("page_tokens", [0, 4])
@pytest.mark.parametrize("read", ["gathered", "where they lie"])
def test_the_step_mixes_no_devices_and_never_waits_for_the_host(page_tokens, read, on_meta, mode, keys, request):
    """On meta tensors a number that the host asks for, a boolean index and a tensor of another device are errors."""
    if read == "where they lie":
        request.getfixturevalue("meta_kernel")
    sampler, gate = mode
    guidance = gate and sampler().guidance(GatedMixture(gate))
    options = {"rows": 4, "cache_tokens": 999, "page_tokens": page_tokens}
    engine = Engine(on_meta, [[3, 4, 5]] * 4, keys(4).to("meta"), SAMPLING, guidance, **options)
    with torch.no_grad(), cached_attention(on_meta.policy):
        engine.drafts.step(3, 9)
        engine.drafts.step(4, 17)
    with torch.no_grad(), cached_attention(on_meta.policy), pytest.raises((RuntimeError, NotImplementedError)):
        engine.drafts.step(4, 17 + int(engine.drafts.place[0]))  # the yardstick: what waits is an error
