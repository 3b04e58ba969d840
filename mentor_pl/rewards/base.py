"""What a reward is: a batch of prompts and responses in, named parts and a total within a declared range out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mentor_pl.types import Prompt


@dataclass(frozen=True)
class Grades:
    """Grades of N responses, in their order."""

    total: Sequence[float]  # [N]
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)  # name -> [N]


class Reward(ABC):
    """Grades responses. A subclass sets the range and grades a batch; YAML names it by its import path.

    Attributes:
        range: least and greatest total; a total outside stops the run. Its span is R_range in equation [11].
    """

    range: tuple[float, float]

    @abstractmethod
    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        """Grade `responses[i]` as an answer to `prompts[i]`."""
