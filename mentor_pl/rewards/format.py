r"""Format reward of the paper's appendix B: the whole response reads `<think>…</think>…\boxed{…}…`.

The whole response is `prompt.response_prefix + response`: where the prompt template has already written `<think>`, it
counts. There is one pair of tags: what the dots stand for holds no other. Only white space may stand before it, and a
complete box must follow it: a box inside the thoughts alone, or one that never closes, earns nothing.
"""

from __future__ import annotations

from mentor_pl.rewards.answers.extract import SEARCHED_CHARACTERS, boxes
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.types import Prompt, Response

OPEN, CLOSE = "<think>", "</think>"


def well_formed(text: str) -> bool:
    """Whether a whole response has the form, its box among the last `SEARCHED_CHARACTERS`. Linear in the text."""
    text = text.lstrip()
    if not text.startswith(OPEN) or text.count(OPEN) != 1 or text.count(CLOSE) != 1:
        return False
    return bool(boxes(text.partition(CLOSE)[2][-SEARCHED_CHARACTERS:]))


class FormatReward(Reward):
    """1 where the whole response has the paper's format, else 0. Parts: `format`."""

    range = (0.0, 1.0)

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        """Grade the form of one response."""
        formed = float(well_formed(prompt.response_prefix + response.text))
        return Grade(formed, {"format": formed})
