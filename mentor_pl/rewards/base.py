"""What a reward is: a batch of prompts and responses in, named parts and a total within a declared range out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mentor_pl.types import Prompt


@dataclass(frozen=True)
class Grades:
    """Grades of N responses, in their order."""

    total: Sequence[float]  # [N]
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)  # name -> [N]


class Reward(Protocol):
    """Grades responses. Any class with these two members is a reward and can be named in YAML by its import path.

    Attributes:
        range: least and greatest total; a total outside stops the run. Its span is R_range in equation [11].
    """

    range: tuple[float, float]

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        """Grade `responses[i]` as an answer to `prompts[i]`."""
        ...
