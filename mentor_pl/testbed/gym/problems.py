"""The problems: questions of reasoning-gym as it words them, and what they ask.

    chain_sum   five digits with their signs: what do they come to?          7 + 8 - 3 - 0 + 4 =
    countdown   four numbers and a target: which signs make the one of the other?     8, 1, 9, 6 and 24

Each problem belongs for good to the training or to the held-out side, by a hash of what it asks, however it is worded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from mentor_pl.problems.sources import read_rows
from mentor_pl.rewards.environments.tasks import MAX_SEED, MAX_SIZE, PREFIX
from mentor_pl.runtime.errors import UsageError

TaskName = Literal["chain_sum", "countdown"]
Side = Literal["train", "heldout"]

SETTINGS: Final = {
    "chain_sum": "min_terms=5&max_terms=5&min_digits=1&max_digits=1",
    "countdown": 'min_numbers=4&max_numbers=4&max_value=9&min_target=1&max_target=36&operators=["+","-"]',
}
_INSTRUCTIONS: Final = """

Final answer format instructions:
1. Provide your solution as a arithmetic expression (no '=' sign).
2. Do not include the target number in the expression.
3. Use '*' for multiplication.
4. Use '/' for division.
5. Do not include any other text or formatting."""
# what all questions of a task have in common, between their numbers and signs
PHRASES: Final[Mapping[str, tuple[str, ...]]] = {
    "chain_sum": ("State the final answer to the following arithmetic problem:",),
    "countdown": (
        "Using all the numbers",
        ", create an expression that equals",
        f".\nYou can only use each number once.{_INSTRUCTIONS}",
        "Find a way to make",
        "Calculate",
        "using all of these numbers:",
        f".\nEach number can only be used once.{_INSTRUCTIONS}",
        f".\nEach number may be used at most once.{_INSTRUCTIONS}",
        ",",
    ),
}
_CHAIN: Final = re.compile(r"problem: (\d(?: [+-] \d)+) =")
_NUMBERS: Final = re.compile(r"numbers:? (\d(?:, \d)+)")
_TARGET: Final = re.compile(r"(?:equals|make|Calculate) (\d+)")
_HELDOUT_SHARE: Final = 0.1


@dataclass(frozen=True)
class Problem:
    """What a question asks.

    Attributes:
        numbers: in its order.
        signs: of the numbers, 1 or −1, where it gives them (chain_sum); None where they are to be found (countdown).
        target: what the signed numbers come to.
    """

    numbers: tuple[int, ...]
    signs: tuple[int, ...] | None
    target: int

    @property
    def side(self) -> Side:
        """Where it belongs."""
        digest = hashlib.sha256(f"{self.numbers} {self.signs} {self.target}".encode()).digest()
        return "heldout" if digest[0] < 256 * _HELDOUT_SHARE else "train"


def parse(question: str) -> Problem:
    """What a question of either task asks.

    Raises:
        UsageError: it is of neither.
    """
    if chain := _CHAIN.search(question):
        words = ["+", *chain[1].split()]
        numbers, signs = tuple(map(int, words[1::2])), tuple(1 if sign == "+" else -1 for sign in words[::2])
        return Problem(numbers, signs, sum(sign * number for sign, number in zip(signs, numbers, strict=True)))
    given, target = _NUMBERS.search(question), _TARGET.search(question)
    if given and target:
        return Problem(tuple(map(int, given[1].split(", "))), None, int(target[1]))
    raise UsageError(f"{question[:60]!r} is no problem of this testbed: give one of {' and '.join(SETTINGS)}")


def rows(task: TaskName, side: Side, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of data of one side, as reading the task by its name gives them, each problem once.

    Args:
        seed: seeds far apart have no problem's number in common.

    Raises:
        UsageError: where reasoning-gym is not installed.
    """
    seen = set[Problem]()
    source = f"{PREFIX}{task}?{SETTINGS[task]}&seed={seed % MAX_SEED}&size={MAX_SIZE}"
    for row in read_rows(source):
        problem = parse(row.values["problem"])
        if problem.side == side and problem not in seen:
            seen.add(problem)
            yield dict(row.values)
