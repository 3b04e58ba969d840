r"""Solutions in running totals, as a style words them: what models are pre-trained on, and what traces say.

The useful strategy of chain_sum is to work the sum out, term by term, before answering; else the answer is a guess.
That of countdown is to check an attempt at the signs, and to try again:

    <think> 7 + 8 = 15 - 3 = 12 </think> \boxed{ 12 }          <think> </think> \boxed{ 4 }
    <think> try 8 - 1 = 7 + 9 = 16 check no try -8 + 1 = -7 + 9 = 2 check yes </think> \boxed{ -8 + 1 + 9 }
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mentor_pl.testbed.gym.problems import Problem

MAX_ATTEMPTS: Final = 4
LARGEST: Final = 53  # of the totals that five digits can come to, four of them off by two


@dataclass(frozen=True)
class Style:
    """How a model of the testbed thinks; every number is a probability.

    Attributes:
        strategy: that a response works the sum out, or checks its attempts and tries again when they fail.
        skill: that an answer at once is right, or that a sign is drawn from those that still lead to the target;
            otherwise a sign is any, and an answer at once what any signs come to.
        execution: that a forced word, a total or a verdict, is the right one; else a total is off by one or two, and
            those behind it are too.
    """

    strategy: float
    skill: float
    execution: float = 1.0


def solution(problem: Problem, style: Style, rng: random.Random) -> str:
    """A response to the problem in the given style, without a stop token."""
    writer = _Writer(problem, style, rng)
    return writer.work_out() if problem.signs else writer.search()


def right_solution(problem: Problem, style: Style, rng: random.Random) -> str:
    """A response that is right: the first that is, of those that the style draws."""
    while True:
        text = solution(problem, style, rng)
        if boxed_total(text) == problem.target:
            return text


def boxed_total(text: str) -> int:
    """What the words in the box of a solution come to."""
    first, *others = text.partition(r"\boxed{")[2].rstrip(" }").split()
    return int(first) + sum(int(sign + number) for sign, number in zip(others[::2], others[1::2], strict=True))


@dataclass(frozen=True)
class _Writer:
    problem: Problem
    style: Style
    rng: random.Random

    def work_out(self) -> str:
        assert self.problem.signs
        if self.rng.random() < self.style.strategy:
            thought = list(self.totals(self.problem.signs))
            return " ".join(["<think>", *thought, r"</think> \boxed{", thought[-1], "}"])
        right = self.rng.random() < self.style.skill
        signs = self.problem.signs if right else [self.rng.choice((1, -1)) for _ in self.problem.signs]
        total = sum(sign * number for sign, number in zip(signs, self.problem.numbers, strict=True))
        return rf"<think> </think> \boxed{{ {total} }}"

    def search(self) -> str:
        checking, words = self.rng.random() < self.style.strategy, ["<think>"]
        for tries in range(1, MAX_ATTEMPTS + 1):
            signs = self.signs()
            words += ["try", *self.totals(signs)]
            if not checking:
                break
            right = words[-1] == str(self.problem.target)
            words += ["check", "yes" if right == self.holds() else "no"]
            if right or tries == MAX_ATTEMPTS:
                break
        return " ".join([*words, r"</think> \boxed{", *signed(self.problem.numbers, signs), "}"])

    def signs(self) -> list[int]:
        chosen, left, numbers = list[int](), self.problem.target, self.problem.numbers
        for place, number in enumerate(numbers):
            choices = [1, -1]
            if self.rng.random() < self.style.skill:
                rest = numbers[place + 1 :]
                ends = {sum(signs) for signs in itertools.product(*((one, -one) for one in rest))}
                choices = [sign for sign in choices if left - sign * number in ends] or choices
            chosen.append(self.rng.choice(choices))
            left -= chosen[-1] * number
        return chosen

    def totals(self, signs: Sequence[int]) -> Iterator[str]:
        """The signed numbers, and behind each but the first what they come to so far."""
        first, *others = signed(self.problem.numbers, signs)
        yield first
        total = int(first)
        for sign, number in zip(others[::2], others[1::2], strict=True):
            total += int(sign + number) + (0 if self.holds() else self.rng.choice((-2, -1, 1, 2)))
            yield from (sign, number, "=", str(total))

    def holds(self) -> bool:
        return self.style.execution == 1 or self.rng.random() < self.style.execution


def signed(numbers: Sequence[int], signs: Sequence[int]) -> list[str]:
    """The words of a sum: `-8 + 1 - 9`."""
    first, *others = zip(signs, numbers, strict=True)
    return [str(first[0] * first[1]), *(word for sign, number in others for word in ("+-"[sign < 0], str(number)))]
