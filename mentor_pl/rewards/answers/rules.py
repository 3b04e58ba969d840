"""The conventions of writing that a grader may be strict or lenient about, with their defaults."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mentor_pl.runtime.ranges import check


@dataclass(frozen=True)
class Conventions:
    r"""What counts as the same answer.

    Attributes:
        units: `ignore`: 15 = 15 cm, though 15 cm is not 15 m; `require`: a unit belongs to the answer.
        base_suffix: `optional`: 204 = 204_5; `require`: not.
        percent: `optional`: 50 \% = 50 = 0.5; `exact`: 50 \% = 0.5 alone.
        left_side: `optional`: x = 5 equals 5, and x \in S equals S; `require`: not.
        list_order: `ignore`: 1, 2 = 2, 1; `keep`: not.
        tuple_order: `keep`: (1, 2) is not (2, 1); `ignore`: they are the same.
        letters: `optional`: (C), C. and C) text equal C; `require`: not.
        decimals: `reference`: a decimal reference of three significant digits equals the exact answer that rounds to
            it, 600/7 = 85.71; `either`: so does a decimal answer to an exact reference; `exact`: neither does. Six
            significant digits always suffice.
        tolerance: relative error allowed between numbers; 0 for none.
    """

    units: Literal["ignore", "require"] = "ignore"
    base_suffix: Literal["optional", "require"] = "optional"
    percent: Literal["optional", "exact"] = "optional"
    left_side: Literal["optional", "require"] = "optional"
    list_order: Literal["ignore", "keep"] = "ignore"
    tuple_order: Literal["keep", "ignore"] = "keep"
    letters: Literal["optional", "require"] = "optional"
    decimals: Literal["reference", "either", "exact"] = "reference"
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        check("reward tolerance", self.tolerance, at_least=0, because="it is a relative error", otherwise="0 for none")

    def request(self, answer: str, reference: str) -> dict[str, Any]:
        """An item for the worker pool."""
        return {"answer": answer, "reference": reference, "conventions": asdict(self)}
