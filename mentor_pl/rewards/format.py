r"""Format reward of the paper's appendix B: the whole response reads `<think>…</think>…\boxed{…}…`.

The whole response is `prompt.response_prefix + response`: where the prompt template has already written `<think>`, it
counts. Only white space may stand before the opening tag, and a complete box must follow the first closing tag: a box
inside the thoughts alone, or one that never closes, earns nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.rewards.answers.extract import SEARCHED_CHARACTERS, boxes
from mentor_pl.rewards.base import Grades, Reward
from mentor_pl.types import Prompt

OPEN, CLOSE = "<think>", "</think>"


def matches(text: str) -> bool:
    """Whether a whole response has the pattern, its box among the last `LONGEST` characters. Linear in the text."""
    text = text.lstrip()
    return text.startswith(OPEN) and bool(boxes(text.partition(CLOSE)[2][-SEARCHED_CHARACTERS:]))


class FormatReward(Reward):
    """1 where the whole response has the paper's format, else 0."""

    range = (0.0, 1.0)

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        """Grade the form of N responses."""
        total = [
            float(matches(prompt.response_prefix + response))
            for prompt, response in zip(prompts, responses, strict=True)
        ]
        return Grades(total, {"format": total})
