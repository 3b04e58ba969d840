"""What tells two sets of weights apart, whatever folder they come from."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def fingerprint(model: nn.Module) -> str:
    """Sixteen hexadecimal digits of all weights, bit for bit.

    Each tensor's bits are summed as integers, which is exact in any order and on any device. Call it inside
    `decoding(model)`, where sharded parameters are whole.
    """
    digest = hashlib.sha256()
    for name, value in model.named_parameters():
        bits = value.detach().contiguous().view(_BITS[value.element_size()])
        digest.update(f"{name} {tuple(value.shape)} {value.dtype} {int(bits.sum(dtype=torch.int64))}\n".encode())
    return digest.hexdigest()[:16]
