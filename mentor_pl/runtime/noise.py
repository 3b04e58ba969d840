"""Noise that depends on what is sampled, not on when: keyed by (seed, step, prompt, rollout, position).

A counter-based generator: 64-bit keys go through the finaliser of SplitMix64 (Steele, Lea and Flood, 2014) on plain
integer tensors, so a rollout has the same noise, bit for bit, whatever the batch size, the order of the rows, the
number of ranks or the device. Its tokens are then the same as far as the models' arithmetic is: in 32-true on one
machine; in bfloat16 logits round by what shares a forward, and a few differ. Torch has no keyed generator of its own.

Shapes: N rollouts, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_FIRST = -4658895280553007687  # 0xBF58476D1CE4E5B9
_SECOND = -7723592293110705685  # 0x94D049BB133111EB

# One stream of noise per decision, so that no decision tells anything about another.
DECISION, DRAFT, COIN, RESIDUAL = 0, 1, 2, 3
STREAMS = 4  # numbers of the key's sequence that belong to one position


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift; torch's own keeps the sign."""
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's finaliser: a bijection of 64-bit integers; every bit of the input moves half of the output."""
    x = (x ^ _shift(x, 30)) * _FIRST
    x = (x ^ _shift(x, 27)) * _SECOND
    return x ^ _shift(x, 31)


def _fold(key: Tensor, value: Tensor | int) -> Tensor:
    return _mix(key ^ _mix(torch.as_tensor(value, dtype=torch.int64, device=key.device) + _GOLDEN))


def rollout_keys(seed: int, step: int, prompts: Tensor, rollouts: Tensor) -> Tensor:
    """Keys [N] int64 of the rollouts with prompt indices `prompts` [N] and places in their group `rollouts` [N]."""
    key = torch.zeros_like(prompts, dtype=torch.int64)
    for value in (seed, step, prompts, rollouts):
        key = _fold(key, value)
    return key


def keys_within(keys: Tensor, positions: Tensor) -> Tensor:
    """Keys [N] int64 for what is drawn at one token of each rollout, such as another model's tokens behind it.

    Args:
        keys: [N] int64, from `rollout_keys`.
        positions: [N] int64, the token's place in the response.
    """
    return _fold(_fold(keys, STREAMS), positions)


def _mix_in_place(x: Tensor) -> Tensor:
    """`_mix` without memory of its own: with a large vocabulary, memory is what the noise costs."""
    for bits, factor in ((30, _FIRST), (27, _SECOND), (31, 1)):
        x ^= _shift(x, bits)
        if factor != 1:
            x *= factor
    return x


def _key_states(keys: Tensor, positions: Tensor, stream: int | Tensor) -> Tensor:
    """Numbers of (rollout, position, stream), [N] int64: places in the SplitMix64 sequence whose seed is the key."""
    return _mix(keys + _GOLDEN * (STREAMS * positions + stream))


def uniform(keys: Tensor, positions: Tensor, stream: int) -> Tensor:
    """One uniform number in (0, 1] for one token of each rollout.

    Args:
        keys: [N] int64, from `rollout_keys`.
        positions: [N] int64, the token's place in the response.
        stream: one of DRAFT, COIN, RESIDUAL.

    Returns:
        [N] float32.
    """
    return _uniform(_key_states(keys, positions, stream))


def _uniform(states: Tensor) -> Tensor:
    # half a step above 0 at least, so a logarithm is finite; near 0 float32 keeps every one of the 32 bits
    return (_shift(states, 32).float() + 0.5) * 2.0**-32


def exponential(keys: Tensor, positions: Tensor, stream: int, size: int) -> Tensor:
    """Standard exponential noise for every id, so that argmin_v E_v / p_v is a draw from p (the exponential race).

    The sequence that starts at the position's own number has one 64-bit number for two neighbouring ids, a half each.

    Args:
        keys, positions, stream: as in `uniform`.
        size: V.

    Returns:
        [N, V] float32, above 0.
    """
    return _exponential(_key_states(keys, positions, stream), size)


def draft_and_coin(keys: Tensor, positions: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """`exponential` noise [N, V] of DRAFT and `uniform` numbers [N] of COIN, cheaper than one after the other."""
    draft, coin = draft_state_and_coin(keys, positions)
    return _exponential(draft, size), coin


def draft_state_and_coin(keys: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Likewise, with the numbers [N] int64 at which the noise's sequences start in the place of the noise."""
    streams = torch.arange(DRAFT, COIN + 1, device=keys.device)
    draft, coin = _key_states(keys[:, None], positions[:, None], streams).unbind(1)
    return draft, _uniform(coin)


def _exponential(states: Tensor, size: int) -> Tensor:
    pairs = _GOLDEN * torch.arange(1, (size + 1) // 2 + 1, device=states.device)
    bits = _mix_in_place(states[:, None] + pairs).view(torch.int32)[:, :size]
    bits &= 0x7FFFFFFF
    # −log(1 − u) of u = (bits + ½) / 2³¹: the smallest E win the race, and near 0 float32 keeps all of their bits
    return bits.float().add_(0.5).mul_(-(2.0**-31)).log1p_().neg_()
