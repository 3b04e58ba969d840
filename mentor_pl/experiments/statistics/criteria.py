"""Whether every seed of a method keeps to a bound.

met                 every seed of the design has finished and keeps to it
not met             a seed that has finished does not
cannot be told      a seed is missing, and none is beyond
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mentor_pl.experiments.design.design import Design
from mentor_pl.experiments.design.outcome import Criterion
from mentor_pl.experiments.runner.results import Result, values
from mentor_pl.experiments.statistics.statistics import ROUNDING


@dataclass(frozen=True)
class Judged:
    """One criterion in one setting.

    Attributes:
        values: of the seeds that have one.
        worst: the seed that is farthest beyond the bound, or nearest to it; none without values.
        missing: seeds without a value.
    """

    criterion: Criterion
    setting: str
    values: Mapping[int, float]
    worst: int | None
    missing: tuple[int, ...]
    answer: Literal["met", "not met", "cannot be told"]

    @property
    def beyond(self) -> tuple[int, ...]:
        """Seeds that do not keep to it."""
        return tuple(seed for seed, value in self.values.items() if self.criterion.excess(value) > ROUNDING)

    @property
    def why(self) -> str:
        """In words."""
        if self.worst is None:
            return "no seed has a value"
        count = f"{len(self.beyond)} of {len(self.values)} seeds beyond"
        missing = f"; without seeds {', '.join(map(str, self.missing))}" if self.missing else ""
        return f"{count}, at worst {self.values[self.worst]:.4g} by seed {self.worst}{missing}"


def judge_criteria(design: Design, results: Sequence[Result]) -> list[Judged]:
    """Every criterion in every setting that it is for."""
    return [
        _judged(design, one, setting, values(results, one.method, setting, one.outcome))
        for one in design.criteria
        for setting in design.combinations()
        if one.setting in (None, setting)
    ]


def _judged(design: Design, one: Criterion, setting: str, found: Mapping[int, float]) -> Judged:
    worst = max(found, key=lambda seed: one.excess(found[seed]), default=None)
    missing = tuple(seed for seed in design.seeds if seed not in found)
    if worst is not None and one.excess(found[worst]) > ROUNDING:
        return Judged(one, setting, found, worst, missing, "not met")
    return Judged(one, setting, found, worst, missing, "cannot be told" if missing else "met")
