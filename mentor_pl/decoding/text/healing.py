"""Healing: an expert that stands inside one of its own tokens goes back before it, and says its text again.

Where a policy's token ends inside what would be one token of the expert ("mul" of "multiply"), the expert reads a
tokenisation that it has seldom seen. With healing its last token is left out, and what it then says is drawn among the
tokens that agree with the text of that one: those that go on from it, and those that are a part of it.

Shapes: V ids of the expert.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Sequence

import torch
from torch import Tensor

from mentor_pl.models.text_tokenizer import CUT_OFF, TextTokenizer


class Healing:
    """The texts of all tokens of an expert.

    Args:
        tokenizer: the expert's.
        device: of what `allowed` returns.
    """

    def __init__(self, tokenizer: TextTokenizer, device: torch.device | str = "cpu") -> None:
        self.tokenizer, self.device = tokenizer, device
        self.sayable: dict[str, bool] = {}  # whether tokens can be found for a text

    def gone_back(self, heard: Sequence[int]) -> tuple[list[int], str]:
        """What the expert hears when it says its last token again, and that one's text.

        A token stays that is a part of a character or special, or whose text no tokens come to, as of one that ends a
        turn.
        """
        covered = self.tokenizer.text(heard[-1:], heard[:-1], special=False)
        stays = not covered or CUT_OFF in covered or not self._sayable(covered)
        return (list(heard), "") if stays else (list(heard[:-1]), covered)

    def allowed(self, covered: str) -> Tensor:
        """Ids whose text begins with `covered`, or with which it begins and the rest can be said; [V] bool.

        All of them where it is empty.
        """
        if not covered:
            return torch.ones(self.tokenizer.size, dtype=torch.bool, device=self.device)
        allowed = torch.zeros(self.tokenizer.size, dtype=torch.bool)
        allowed[self._beyond(covered) + self._parts(covered)] = True
        return allowed.to(self.device)

    def _beyond(self, covered: str) -> list[int]:
        """Ids whose text is `covered`, or goes on from it."""
        texts = self.tokenizer.texts
        behind = itertools.islice(texts, bisect_left(texts, (covered, -1)), None)
        return [i for _, i in itertools.takewhile(lambda one: one[0].startswith(covered), behind)]

    def _parts(self, covered: str) -> list[int]:
        """Ids of whose text `covered` is more, and the rest is no dead end, as half a character would be."""
        ids = self.tokenizer.ids_by_text
        ends = [end for end in range(1, len(covered)) if covered[:end] in ids]
        return [i for end in ends if self._sayable(covered[end:]) for i in ids[covered[:end]]]

    def _sayable(self, text: str) -> bool:
        if text not in self.sayable:
            self.sayable[text] = bool(self._beyond(text) or self._parts(text))
        return self.sayable[text]
