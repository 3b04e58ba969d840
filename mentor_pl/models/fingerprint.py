"""What tells two sets of weights apart, whatever folder they come from."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@torch.no_grad()
def fingerprint(model: nn.Module, dtype: torch.dtype | None = None) -> str:
    """Sixteen hexadecimal digits of all weights, bit for bit.

    Args:
        dtype: that weights are taken in; by default their own.

    Each tensor's bits are summed as integers by row and by column, which is exact in any order and on any device, and
    tells weights that have changed places. Call it inside `decoding(model)`, where sharded parameters are whole.
    """
    digest = hashlib.sha256()
    for name, parameter in model.named_parameters():
        value = parameter.detach().to(dtype or parameter.dtype)
        bits = value.contiguous().view(_BITS[value.element_size()])
        digest.update(f"{name} {tuple(value.shape)} {value.dtype}\n".encode())
        rows = bits.reshape(bits.shape[0] if bits.dim() else 1, -1)
        for across in (0, 1):
            digest.update(rows.sum(across, dtype=torch.int64).cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
