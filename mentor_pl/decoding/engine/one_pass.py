r"""A draft from logits: by a pass over them for each quantity, or by one pass for all, in a kernel.

With z = logits / temperature, E_v keyed exponential noise, and sums over the vocabulary,

    y = argmax_v p_v / E_v = argmax_v (z_v − log E_v)
    log p_y = z_y − lse,   H = lse − \sum_v p_v z_v,   lse = \log \sum_v e^{z_v}

all of which can be kept up to date while ids go by: nothing of the size of the vocabulary is written. A row's ids are
dealt to several programs, whose results are merged here. The kernel knows temperature alone; filters and greedy
decoding take the plain way, which is also what the kernel is tested against.

Shapes: A rows, V vocabulary, S parts of it.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor

from mentor_pl.decoding.distribution import draw, entropy, log_distribution
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.noise import DRAFT, draft_and_coin, draft_state_and_coin, exponential

PARTS = 8  # of a row's ids, so that few rows fill a GPU


def drafts(
    logits: Tensor, keys: Tensor, positions: Tensor, sampling: SamplingParams, size: int, coins: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """A draft of each row, [A] int64, its log-probability, the entropy, [A] float32, and a coin, [A], if asked for.

    Args:
        logits: [A, ≥ V].
        keys, positions: [A] int64, noise keys and places in the response.
        sampling: temperature and filters.
        size: V.
        coins: whether a coin of the same place is wanted.
    """
    if usable(sampling, logits.device):
        state, flipped = draft_state_and_coin(keys, positions)
        return *in_one_pass(logits, state, sampling.temperature, size), flipped if coins else None
    logp = log_distribution(logits, sampling, size)
    p = logp.exp()
    coin: Tensor | None = None
    if coins:
        noise, coin = draft_and_coin(keys, positions, size)
    else:
        noise = exponential(keys, positions, DRAFT, size)
    token = p.argmax(-1) if sampling.temperature == 0 else draw(p, noise)
    return token, logp.gather(1, token[:, None]).squeeze(1), entropy(logp, p), coin


def usable(sampling: SamplingParams, device: torch.device) -> bool:
    """Whether the kernel draws what is asked for, on this device."""
    return is_plain(sampling) and device.type == "cuda" and _installed()


def is_plain(sampling: SamplingParams) -> bool:
    """Whether temperature alone makes a model's logits the distribution that is drawn from."""
    return sampling.temperature > 0 and sampling.top_p == 1 and sampling.top_k == 0


@cache
def _installed() -> bool:
    return find_spec("triton") is not None


def in_one_pass(logits: Tensor, states: Tensor, temperature: float, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Drafts [A], their log-probabilities [A] and entropies [A]; `states` [A] are numbers of the rows' noise."""
    from mentor_pl.decoding.engine.one_pass_kernel import BLOCK, parts

    rows = len(logits)
    span = -(-size // (PARTS * BLOCK)) * BLOCK
    count = -(-size // span)
    found = torch.empty(rows, count, 5, device=logits.device)
    winners = torch.empty(rows, count, dtype=torch.int64, device=logits.device)
    parts[(rows, count)](
        logits, states.contiguous(), found, winners, logits.stride(0), size, span, 1 / temperature, BLOCK=BLOCK
    )
    return merged(found, winners)


def merged(found: Tensor, winners: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Parts [A, S, 5] and their winners [A, S] as one: what `in_one_pass` returns."""
    top, total, spread, best, logit = found.unbind(-1)  # [A, S]
    highest = top.amax(1, keepdim=True)
    shift = top - highest
    moved = shift.exp()
    sums = (moved * total).sum(1)  # Σ e^{z − highest}
    spreads = (moved * (spread + shift * total)).sum(1)  # Σ (z − highest) e^{z − highest}
    first = best.argmax(1, keepdim=True)
    logprob = logit.gather(1, first).squeeze(1) - highest.squeeze(1) - sums.log()
    return winners.gather(1, first).squeeze(1), logprob, sums.log() - spreads / sums
