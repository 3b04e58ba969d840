"""The Triton kernel of `one_pass.py`. PyTorch for CPUs comes without Triton: then there is nothing to call here."""

# mypy: disable-error-code="no-untyped-def,untyped-decorator"
from __future__ import annotations

from typing import Any

try:
    import triton
    import triton.language as tl
except ModuleNotFoundError:
    triton = None

BLOCK = 1024  # ids that a program looks at at once


def compiled(function: Any) -> Any:
    """What Triton makes of a function."""
    return function if triton is None else triton.jit(function)


@compiled
def _mix(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)


@compiled
def parts(
    logits,  # [A, ≥ V] of any floating type
    states,  # [A] int64, numbers of the rows' noise
    found,  # [A, S, 5] float32: max z, Σ e^{z − max}, Σ (z − max) e^{z − max}, best z − log E, its z
    winners,  # [A, S] int64, the id of the best
    stride,  # between rows of logits
    size,  # V
    span,  # ids of a part, a multiple of BLOCK
    scale,  # 1 / temperature
    BLOCK: tl.constexpr,
):
    """What a part of a row's ids comes to: S programs for each of A rows."""
    row, part, count = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    state = tl.load(states + row).to(tl.uint64, bitcast=True)
    top = -1e30  # below any logit but −∞, which a model may give whole parts of a row
    total, spread = 0.0, 0.0
    best, best_logit = -float("inf"), -float("inf")
    winner = tl.zeros((), tl.int64)
    for begin in range(part * span, tl.minimum(size, (part + 1) * span), BLOCK):
        ids = begin + tl.arange(0, BLOCK)
        inside = ids < size
        z = tl.load(logits + row * stride + ids, mask=inside, other=-float("inf")).to(tl.float32) * scale
        # noise: the id's half of a 64-bit number, as `noise.exponential` has it
        pair = _mix(state + (ids // 2 + 1).to(tl.uint64) * 0x9E3779B97F4A7C15)
        half = tl.where(ids % 2 == 0, pair, pair >> 32) & 0x7FFFFFFF
        u = (half.to(tl.int64).to(tl.float32) + 0.5) * -4.656612873077393e-10  # −2^−31
        w = 1.0 + u
        noise = -tl.where(w == 1.0, u, tl.log(w) * (u / (w - 1.0)))  # −log(1 + u), to the last bits near 0
        race = z - tl.log(noise)
        here = tl.argmax(race, 0)
        ahead = tl.max(race, 0)
        taken = ahead > best
        winner = tl.where(taken, (begin + here).to(tl.int64), winner)
        best_logit = tl.where(taken, tl.max(tl.where(ids == begin + here, z, -float("inf")), 0), best_logit)
        best = tl.where(taken, ahead, best)
        highest = tl.maximum(top, tl.max(z, 0))
        shift = top - highest
        e = tl.where(inside, tl.exp(z - highest), 0.0)
        moved = tl.exp(shift)
        spread = moved * (spread + shift * total) + tl.sum(tl.where(e > 0, (z - highest) * e, 0.0), 0)
        total = moved * total + tl.sum(e, 0)
        top = highest
    to = found + (row * count + part) * 5
    tl.store(to, top)
    tl.store(to + 1, total)
    tl.store(to + 2, spread)
    tl.store(to + 3, best)
    tl.store(to + 4, best_logit)
    tl.store(winners + row * count + part, winner)
