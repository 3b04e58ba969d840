"""How many places KV caches have where nobody says: as many as half of the memory holds that is free at first.

The other half is for what sampling computes, and for optimizer states that do not exist before the first step.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.models.loading import Models
from mentor_pl.runtime.machine import host_memory

SHARE = 0.5  # of free memory
MIN_PLACES, MAX_PLACES = 2**10, 2**30  # the second one also where nothing is known


def places_in_memory(models: Models, rows: int, longest: int) -> int:
    """A power of two: places of the policy's cache and of the expert's, where there is one, that fit together.

    Args:
        rows, longest: rollouts of the call at hand and tokens of its longest, for what is told.
    """
    device = models.device
    each = sum(place_bytes(model, device) for model in (models.policy, models.expert) if model is not None)
    free = free_bytes(device)
    if not (each and free):
        return MAX_PLACES
    places = 1 << (max(MIN_PLACES, int(SHARE * free) // each).bit_length() - 1)
    most = min(places, rows * longest) * each / 2**20
    rank_zero_info(
        f"KV caches: {most:,.1f} MiB at most for {rows} rows of up to {longest} tokens; half of the "
        f"{free / 2**30:.1f} GiB that are free holds {places:,} tokens"
    )
    return places


def place_bytes(model: Any, device: torch.device) -> int:
    """Bytes of a token's keys and values in all layers; 0 where a model's configuration does not tell."""
    config: Any = getattr(model, "config", None)
    layers, heads = getattr(config, "num_hidden_layers", 0), getattr(config, "num_attention_heads", 0)
    if not (layers and heads):
        return 0
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    halved = torch.is_autocast_enabled(device.type)
    dtype = torch.get_autocast_dtype(device.type) if halved else next(model.parameters()).dtype
    return int(2 * layers * (getattr(config, "num_key_value_heads", None) or heads) * size * dtype.itemsize)


def free_bytes(device: torch.device) -> int:
    """Memory of a device that is free, its allocator's included; 0 where nothing tells."""
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return host_memory() if device.type == "cpu" else 0
