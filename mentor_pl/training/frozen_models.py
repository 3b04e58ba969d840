"""Which frozen models a method asks, refused or loaded: the expert, and the policy as the run started from it."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch.utilities import rank_zero_info

from mentor_pl.algorithms.base import Algorithm
from mentor_pl.models.loading import load_frozen
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.errors import UsageError


def check_expert(algorithm: Algorithm, expert: ModelSource | None) -> None:
    """Say where a given expert is not asked, and what else is to be said of the method.

    Raises:
        UsageError: where the algorithm asks an expert and there is none.
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


def load_frozen_models(
    algorithm: Algorithm, expert: ModelSource | None, reference: ModelSource, dtype: torch.dtype, device: torch.device
) -> tuple[Any | None, Any | None]:
    """Expert and reference on `device`; None in place of what the algorithm does not ask."""

    def loaded(source: ModelSource | None, needed: bool) -> Any | None:
        return load_frozen(source, dtype).to(device) if source is not None and needed else None

    return (
        loaded(expert, algorithm.uses_expert),
        loaded(reference, algorithm.uses_reference),
    )
