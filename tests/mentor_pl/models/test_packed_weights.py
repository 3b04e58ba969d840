"""Packed weights multiply as the plain ones do, only where that is worth it, and leave nothing behind."""

import pytest
import torch
from torch import nn

from mentor_pl.models import packed_weights as module
from mentor_pl.models.packed_weights import is_mostly_packed, packed_bytes, packed_weights

pytestmark = pytest.mark.skipif(not module._has_onednn(), reason="packs weights on x86 CPUs alone")


class Sub(nn.Linear):
    """A layer that does more, as far as one can tell."""


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.ModuleDict(
        {
            "large": nn.Linear(256, 256, bias=False), "biased": nn.Linear(1024, 64), "small": nn.Linear(255, 257),
            "in_half": nn.Linear(256, 256, dtype=torch.bfloat16), "other": Sub(256, 256),
        }
    )  # fmt: skip


def packed(model):
    return {name for name, layer in model.items() if "forward" in layer.__dict__}


def test_a_model_is_mostly_packed_where_its_large_layers_hold_more_than_half_of_its_weights():
    large = nn.Linear(256, 256, bias=False)
    model = nn.Sequential(large, nn.Embedding(255, 256))
    assert is_mostly_packed(model)
    assert not is_mostly_packed(nn.Sequential(large, nn.Embedding(256, 256)))
    assert not is_mostly_packed(model.to("meta"))  # nothing is packed elsewhere


@torch.no_grad()
@pytest.mark.parametrize("shape", [(1,), (16,), (2, 3), (1, 0)])
def test_products_are_the_plain_ones(model, shape):
    for name in ("large", "biased"):
        inputs = torch.randn(*shape, model[name].in_features)
        plain = model[name](inputs)
        with packed_weights(model):
            assert model[name](inputs).shape == plain.shape
            torch.testing.assert_close(model[name](inputs), plain, rtol=1e-5, atol=1e-6)


def test_what_is_small_not_float32_or_no_plain_layer_stays_as_it_is(model):
    with packed_weights(model, None, model["other"]):
        assert packed(model) == {"large", "biased"}
    with torch.autocast("cpu", torch.bfloat16), packed_weights(model):
        assert packed(model) == set()
    model["large"].forward = lambda inputs: inputs  # another library's
    with packed_weights(model):
        assert packed(model) == {"large", "biased"}
        assert model["large"](1) == 1
    assert model["large"](1) == 1


def test_a_model_whose_copies_are_too_large_stays_as_it_is(model, monkeypatch):
    bytes_ = 4 * (256 * 256 + 1024 * 64)
    assert packed_bytes(model) == bytes_
    monkeypatch.setattr(module, "MOST_BYTES", bytes_ - 1)
    assert packed_bytes(model) == 0
    with packed_weights(model):
        assert packed(model) == set()


@torch.no_grad()
def test_layers_are_themselves_again_afterwards_whatever_happens(model):
    inputs = torch.randn(4, 256)
    plain = model["large"](inputs)
    with pytest.raises(KeyError), packed_weights(model, model):
        raise KeyError
    assert packed(model) == set()
    assert torch.equal(model["large"](inputs), plain)
    model["large"].weight.mul_(2)
    with packed_weights(model):
        torch.testing.assert_close(model["large"](inputs), 2 * plain, rtol=1e-5, atol=1e-6)
