"""On-policy RL (GRPO): G rollouts of the policy itself, standardised within their group. Equations [9] and [10].

    A = (R − mean(R)) / (std(R) + eps),   mean and unbiased std over the group
    loss = mean over tokens of −min(r A, clip(r, 1 − ε_low, 1 + ε_high) A),   r = π_θ / π_old

The settings are the paper's (Appendix B): clip-higher, token-level mean, no KL, no entropy bonus.
"""

from __future__ import annotations

from mentor_pl.algorithms.on_policy import OnPolicy


class GRPO(OnPolicy):
    """On-policy RL.

    Args:
        group_size: G, rollouts of each problem; at least 2, since [10] divides by their standard deviation.
        loss: by default `ClippedSurrogate`, equation [9].
        eps: added to the standard deviation.

    Raises:
        UsageError: for a group below 2 or a negative eps.
    """
