"""Linear layers in the layout that a CPU multiplies by fastest, for as long as their weights stay as they are.

Where rows are few, as in sampling, a product takes the time of reading its weight. oneDNN, which PyTorch has with it,
keeps a weight in blocks of the size that its kernels work in: it is put in order once, and then read in order by every
forward. `torch.compile` does the same to a frozen model, by the same operators.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

LEAST_ELEMENTS = 2**16  # of a weight: of a smaller one a plain product takes no longer
MOST_BYTES = 2**31  # of a model's packed weights, which are a copy: more memory than that is better left to the caches


@contextmanager
def packed_weights(*models: Any) -> Iterator[None]:
    """Let the linear layers of `models` multiply by packed copies of their weights; call with gradients off.

    Weights must not change meanwhile. Nothing happens to what is not a plain layer in float32 on an x86 CPU, and to
    models whose copies would take more than 2 GiB. Products differ from the plain ones by rounding.
    """
    layers = [layer for model in models if isinstance(model, nn.Module) for layer in _layers(model)]
    try:
        for layer in layers:
            packed = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), None)
            layer.__dict__["forward"] = partial(_product, packed, layer.bias)
        yield
    finally:
        for layer in layers:
            layer.__dict__.pop("forward", None)


def is_mostly_packed(model: nn.Module) -> bool:
    """Whether more than half of a model's weights would be packed, so that a step's time is that of reading them."""
    packed = sum(layer.weight.nbytes for layer in _layers(model))
    return 2 * packed > sum(weight.nbytes for weight in model.parameters())


def packed_bytes(model: nn.Module) -> int:
    """What the packed copies of a model take on a CPU without autocast."""
    return sum(layer.weight.nbytes for layer in _worthwhile(model)) if _has_onednn() else 0


def _layers(model: nn.Module) -> list[nn.Linear]:
    if not _has_onednn() or torch.is_autocast_enabled("cpu"):
        return []
    return [layer for layer in _worthwhile(model) if _is_plain(layer)]


def _worthwhile(model: nn.Module) -> list[nn.Linear]:
    """The layers with large weights, none of a model that is too large."""
    layers = [module for module in model.modules() if type(module) is nn.Linear and _is_large(module.weight)]
    return layers if sum(layer.weight.nbytes for layer in layers) <= MOST_BYTES else []


def _is_large(weight: Tensor) -> bool:
    return weight.dtype == torch.float32 and weight.numel() >= LEAST_ELEMENTS


def _is_plain(layer: nn.Linear) -> bool:
    """Whether the weight is here, neither sharded nor quantized, and the product nobody else's."""
    here = type(layer.weight) is nn.Parameter and layer.weight.device.type == "cpu"
    return here and "forward" not in layer.__dict__


def _has_onednn() -> bool:
    return torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64")


def _product(weight: Tensor, bias: Tensor | None, inputs: Tensor) -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight, bias, "none", [], "")
    return product
