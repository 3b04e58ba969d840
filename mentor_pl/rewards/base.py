"""What a reward is: a batch of prompts and responses in, named parts and a total within a declared range out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mentor_pl.runtime.errors import UsageError
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


def checked(reward: Reward, prompts: Sequence[Prompt], grades: Grades) -> Grades:
    """The grades, if they are what the reward itself declares.

    Raises:
        UsageError: for too few grades, or a total outside the reward's range.
    """
    for name, part in {"total": grades.total, **grades.parts}.items():
        if len(part) != len(prompts):
            raise UsageError(
                f"reward {type(reward).__name__} gave {len(part)} grades '{name}' for {len(prompts)} responses: give "
                "one for each"
            )
    low, high = reward.range
    for prompt, total in zip(prompts, grades.total, strict=True):
        if not low <= total <= high:
            raise UsageError(
                f"reward {type(reward).__name__} gave {total} to problem {prompt.index}, outside its declared range "
                f"({low}, {high}): mend the reward or declare the range it has"
            )
    return grades
