"""Where a run departs from MENTOR's paper (arXiv 2510.04140), and where its authors' released code does.

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

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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
    """

    on_policy: int
    refill: bool
    gate: Callable[[], Gate]
    loss: Callable[[], Term]
    drafter: Literal["policy", "initial"]


FIDELITIES = {
    "paper": Fidelity(4, True, EntropyGate, ClippedSurrogate, "policy"),
    "released_code": Fidelity(
        8,
        False,
        lambda: ExpertFirst(EntropyGate(source="previous", floor=1.5, ranks="mean")),
        lambda: ClippedSurrogate(dual_clip=3.0),
        "initial",
    ),
}


def departures(method: Any, paper: Any) -> tuple[str, ...]:
    """How a method's settings differ from `paper`, the same class as the paper has it: a line each."""
    name = type(method).__name__
    settings = [
        setting for setting in ("drafter", *inspect.signature(type(method)).parameters) if hasattr(method, setting)
    ]
    values = [(setting, _worded(getattr(method, setting)), _worded(getattr(paper, setting))) for setting in settings]
    return tuple(
        f"{name} departs from the paper: {setting} is {ours} (paper: {theirs})"
        for setting, ours, theirs in values
        if ours != theirs
    )


def _worded(value: Any) -> str:
    """A setting; a gate or a term as its class, with those of its own settings that are not the class's defaults."""
    if not isinstance(value, Gate | Term):
        return str(value)
    settings = inspect.signature(type(value)).parameters.items()
    own = [(name, getattr(value, name, known.default), known.default) for name, known in settings]
    given = ", ".join(f"{name}={_worded(setting)}" for name, setting, default in own if setting != default)
    return f"{type(value).__name__}({given})"
