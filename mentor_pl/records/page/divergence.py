"""How far policy and expert are apart at a token, by the best that a record has of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mentor_pl.records.page.alternatives import Alternatives
from mentor_pl.records.page.pack import Array


class Divergence(NamedTuple):
    """A measure of the distance of π* and π_θ at tokens.

    Attributes:
        name: the measure.
        says: where it is known, in what unit, and why it is this one.
        values: of each token, float32; NaN where it is not known.
    """

    name: str
    says: str
    values: Array


def divergence_of(columns: Mapping[str, Array], alternatives: Alternatives) -> Divergence | None:
    """The first of these that is recorded: KL, the log ratio at the token itself, the total variation of the likeliest.

    Args:
        columns: of each token `logprobs` and, where recorded, `divergences` and `expert_logprobs`.
        alternatives: the likeliest tokens at guided tokens.
    """
    if "divergences" in columns:
        return Divergence("KL(π* ‖ π_θ)", "in nats; 0 where it was not measured", columns["divergences"])
    if "expert_logprobs" in columns:
        ratio = np.abs(columns["expert_logprobs"] - columns["logprobs"])
        return Divergence("|log π* − log π_θ|", "of the token itself, in nats: this run recorded no KL", ratio)
    if len(alternatives.at):
        values = np.full(len(columns["logprobs"]), np.nan, np.float32)
        values[alternatives.at] = alternatives.total_variations()
        says = "½ Σ |π* − π_θ| over the likeliest tokens, at guided tokens alone: this run recorded no KL"
        return Divergence("total variation", says, values)
    return None
