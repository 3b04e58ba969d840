"""Truncated importance weights for the gap between the sampler's and the trainer's arithmetic.

    w_t = min(cap, π_trainer(y_t) / π_sampler(y_t))   of a token that the policy drew
    w_t = 1                                           of a guided or a given one

Both probabilities are π_old, the weights that sampled, computed in two ways. A token of a mixture rollout is drawn with
its coin z_t, from the law (1 − z_t) π_old + z_t π*: where the coin came up, how π_old rounds has no part in the draw,
and min(cap, …) would weigh what the expert says by the policy's rounding, or at the cap where a filter of the policy's
drops it. What is compared in r = π_θ(y_t) / π_old(y_t) is the trainer's π_old for all tokens alike. Blends without
coins take as guided what their drafts fell to; where another policy than π_old drafts, w_t is 1 but for rounding.

A token's advantage is multiplied by w_t, which weighs its loss exactly wherever a term is linear in a positive factor
of A, as [9] is; a surrogate of whole rollouts takes the mean of its tokens' weights. Terms without an advantage are not
weighed: entropies and divergences are of a prefix, whatever token was drawn there.
Source: F. Yao et al., "Your efficient RL framework secretly brings you off-policy RL training" (2025), TIS.

Shapes: N rollouts, T response tokens.
"""

from __future__ import annotations

from torch import Tensor

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check


def check_cap(cap: float | None, recompute: bool, algorithm: Algorithm) -> None:
    """Refuse a cap that cannot work.

    Args:
        cap: `model.importance_cap`.
        recompute: `model.recompute_logprobs`.
        algorithm: whose terms are to be weighed.

    Raises:
        UsageError: for a cap out of range, without a second π_old, or without a term that it could weigh.
    """
    check("model.importance_cap", cap, above=0, because="it bounds a ratio", otherwise="or null")
    if cap is None:
        return
    if not recompute:
        raise UsageError(
            f"model.importance_cap is {cap}, but its weights need a pass of training before the update: set "
            "model.recompute_logprobs to true, or importance_cap to null"
        )
    if not any(term.skips_zero_advantage for term in algorithm.all_terms):
        names = ", ".join(term.name for term in algorithm.all_terms)
        raise UsageError(
            f"model.importance_cap is {cap}, but its weights multiply advantages, and the loss of "
            f"{type(algorithm).__name__} ({names}) has none: set importance_cap to null"
        )


def weighted(advantages: Tensor, trainer: Tensor, sampler: Tensor, cap: float, drawn: Tensor) -> Tensor:
    """Advantages of tokens, weighted: [N, T].

    Args:
        advantages: [N] or [N, T].
        trainer, sampler: [N, T], log π_old as either has it.
        cap: the bound.
        drawn: [N, T] bool, tokens that the policy drew.
    """
    weights = (trainer - sampler).exp().clamp(max=cap).where(drawn, 1)  # [N, T]
    return (advantages if advantages.ndim == 2 else advantages[:, None]) * weights
