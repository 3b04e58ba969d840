r"""Format rewards: the form of a whole response, `prompt.response_prefix + response`.

    strict     `<think>thought</think>…\boxed{answer}…` (the paper's appendix B): nothing but white space before the one
               pair of tags, and after it a complete box with something in it
    lenient    a thought that ends, and after its last `</think>` a complete box with something in it
    answer     a complete box with something in it, which small instruct models can meet

Where the prompt template has already written `<think>`, it counts. A box inside the thoughts alone, or one that never
closes, earns nothing.
"""

from __future__ import annotations

from typing import Literal

from mentor_pl.rewards.answers.extract import SEARCHED_CHARACTERS, boxes
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.types import Prompt, Response

OPEN, CLOSE = "<think>", "</think>"
Form = Literal["strict", "lenient", "answer"]


def well_formed(text: str, form: Form = "strict") -> bool:
    """Whether a whole response has the form, its box among the last `SEARCHED_CHARACTERS`. Linear in the text."""
    thought, closed, answer = text.rpartition(CLOSE)
    before, opened, thought = thought.partition(OPEN)
    if form == "strict" and not (opened and closed and not before.strip()):
        return False
    if form == "strict" and (CLOSE in thought or OPEN in thought or OPEN in answer):
        return False
    if form == "lenient" and not (opened and closed):
        return False
    return any(content.strip() for _, _, content in boxes(answer[-SEARCHED_CHARACTERS:]))


class FormatReward(Reward):
    """1 where the whole response has the form, else 0. Parts: `format`.

    Args:
        form: `strict`, the paper's; `lenient`, with text around and several thoughts; `answer`, a box alone.
    """

    range = (0.0, 1.0)

    def __init__(self, form: Form = "strict") -> None:
        self.form: Form = form

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        """Grade the form of one response."""
        formed = float(well_formed(prompt.response_prefix + response.text, self.form))
        return Grade(formed, {"format": formed})
