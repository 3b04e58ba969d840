"""Where MENTOR's released code departs from its paper (arXiv 2510.04140), as defaults of the method.

| point | paper | released code, and here `released_code` |
| --- | --- | --- |
| who drafts mixture rollouts | the policy | the policy as it was at the start |
| first response token of those | π_mix | π* alone |
| γ_p | of all ranks' tokens of this step | mean of the ranks' own, of the step before; at least 1.5 |
| group | 4 + 4, then 8 | 8 + 4, then 8 |
| clip | 0.2 / 0.28 | also dual-clip 3.0 |

Not reproduced: γ_p is forgotten on resume there; entropies come from half-precision logits and take in one position
behind the end; prompts are tokenised anew for the expert; generation stops at the expert's end of sequence while the
mask is made from the policy's; the reward's accuracy does not hang on the format, and its grader is another; a batch
gives three updates where on-policy RL gets two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mentor_pl.algorithms.parts.first_token import ExpertFirst
from mentor_pl.algorithms.parts.gates import EntropyGate, Gate
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate


@dataclass(frozen=True)
class Fidelity:
    """Defaults of the method.

    Attributes:
        on_policy: N_on.
        refill: whether policy rollouts take the share of mixture rollouts that are not drawn.
        gate, loss: what makes them.
        drafter: who drafts mixture rollouts, as `Algorithm.drafter`.
        notes: how they differ from the paper, a line each.
    """

    on_policy: int
    refill: bool
    gate: Callable[[], Gate]
    loss: Callable[[], Term]
    drafter: Literal["policy", "initial"]
    notes: tuple[str, ...] = ()


FIDELITIES = {
    "paper": Fidelity(4, True, EntropyGate, ClippedSurrogate, "policy"),
    "released_code": Fidelity(
        8,
        False,
        lambda: ExpertFirst(EntropyGate(source="previous", floor=1.5, ranks="mean")),
        lambda: ClippedSurrogate(dual_clip=3.0),
        "initial",
        (
            "released_code: the policy as it was at the start drafts mixture rollouts (paper: the policy)",
            "released_code: the first response token of a mixture rollout is the expert's (paper: the mixture's)",
            "released_code: γ_p is the mean of the ranks' quantiles of the step before, at least 1.5 (paper: the "
            "quantile of all ranks' tokens of this step)",
            "released_code: 8 policy rollouts of a problem, 4 of the mixture while α > 0 (paper: 4 and 4, then 8)",
            "released_code: the loss of negative advantages is clipped at 3 (paper: not)",
        ),
    ),
}
