"""Which frozen models a method asks, refused or loaded: the expert, and the policy as the run started from it."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.algorithms.base import EXPERT_NEEDS, Algorithm
from mentor_pl.models.loading import load_frozen
from mentor_pl.models.placement import Placed, Placement, placed
from mentor_pl.models.source import ModelSource
from mentor_pl.models.text_expert import TextExpert
from mentor_pl.runtime.errors import UsageError


class Frozen(NamedTuple):
    """Models that are not trained, and where the expert lies if it is not whole on the device.

    A tuple hides them from the module tree, so from checkpoints, the optimizer and `train()`.
    """

    expert: Any | None = None
    reference: Any | None = None
    placed: Placed | None = None


def check_expert(
    algorithm: Algorithm,
    expert: ModelSource | None,
    placement: Placement = "replicated",
    device: torch.device | None = None,
    ranks: int = 1,
    text_expert: TextExpert | None = None,
) -> None:
    """Say where a given expert is not asked, and what else is to be said of the method.

    Args:
        algorithm, expert, placement: of the run.
        device, ranks: that it is to have.
        text_expert: what is known of an expert with ids of its own, whose probabilities are unknown.

    Raises:
        UsageError: where the algorithm asks an expert and there is none, asks for what there is not, or the expert's
            placement would do nothing.
    """
    for note in algorithm.notes:
        rank_zero_info(note)
    name = type(algorithm).__name__
    if algorithm.uses_expert and expert is None:
        raise UsageError(
            f"algorithm {name} asks an expert, but model.expert is null: set model.expert, or take an algorithm "
            "without one, such as configs/algorithms/grpo.yaml"
        )
    if expert is not None and not algorithm.uses_expert:
        rank_zero_info(f"algorithm {name} asks no expert: '{expert.path}' is not loaded")
    unknown = ", ".join(sorted(need.value for need in algorithm.needs & EXPERT_NEEDS))
    by_text = text_expert is not None and algorithm.uses_expert
    if by_text and unknown:
        raise UsageError(
            f"algorithm {name} asks for the expert's probabilities ({unknown}), but it has another vocabulary than the "
            "policy, so its draws alone can be had: take an expert of the policy's family, or a loss without them"
        )
    if by_text and algorithm.blend is not None and not algorithm.blend.lazy:
        raise UsageError(
            f"algorithm {name} guides where the expert's probabilities say so, but it has another vocabulary than the "
            "policy, so its draws alone can be had: take an expert of the policy's family, or a gate that the policy "
            "alone tells, such as EntropyGate"
        )
    if by_text:
        assert text_expert is not None
        rank_zero_info(
            f"{text_expert.difference}: it guides by its text, so a guided token is replaced whenever its draw "
            "differs, and for each it reads and says a few tokens of its own; `mentor doctor` tells how many"
        )
    if placement == "offloaded" and device is not None and device.type == "cpu":
        raise UsageError(
            "model.expert_placement is offloaded, but this run is on the CPU, so the expert is in the host's memory "
            "anyway: take replicated, or sharded over several processes"
        )
    if placement == "sharded" and ranks == 1:
        raise UsageError(
            "model.expert_placement is sharded, but the one process of this run would hold every part: take "
            "replicated, or on a GPU offloaded"
        )


def load_frozen_models(
    algorithm: Algorithm,
    expert: ModelSource | None,
    reference: ModelSource,
    dtype: torch.dtype,
    device: torch.device,
    placement: Placement = "replicated",
) -> Frozen:
    """Expert and reference on `device`; None in place of what the algorithm does not ask."""

    def loaded(source: ModelSource | None, needed: bool) -> Any | None:
        return load_frozen(source, dtype) if source is not None and needed else None

    theirs, ours = loaded(expert, algorithm.uses_expert), loaded(reference, algorithm.uses_reference)
    return Frozen(
        theirs, None if ours is None else ours.to(device), None if theirs is None else placed(theirs, device, placement)
    )
