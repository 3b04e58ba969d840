"""Healing: an expert that stands inside one of its own tokens goes back before it, and says its text again.

Where a policy's token ends inside what would be one token of the expert ("mul" of "multiply"), the expert reads a
tokenisation that it has seldom seen. With healing its last token is left out, and what it then says is drawn among the
tokens that agree with the text of that one: those that go on from it, and those that are a part of it.

Shapes: V ids of the expert.
"""

from __future__ import annotations

from bisect import bisect_left

import torch
from torch import Tensor

from mentor_pl.models.text_tokenizer import TextTokenizer


class Healing:
    """The texts of all tokens of an expert.

    Args:
        tokenizer: the expert's.
        device: of what `allowed` returns.
    """

    def __init__(self, tokenizer: TextTokenizer, device: torch.device) -> None:
        self.tokenizer, self.device = tokenizer, device

    def allowed(self, covered: str) -> Tensor:
        """Ids whose text begins with `covered`, or with which `covered` begins, [V] bool; all where it is empty."""
        if not covered:
            return torch.ones(self.tokenizer.size, dtype=torch.bool, device=self.device)
        texts = self.tokenizer.texts
        found = [i for end in range(1, len(covered)) for i in self.tokenizer.ids_by_text.get(covered[:end], ())]
        for text, i in texts[bisect_left(texts, (covered, -1)) :]:
            if not text.startswith(covered):
                break
            found.append(i)
        allowed = torch.zeros(self.tokenizer.size, dtype=torch.bool)
        allowed[found] = True
        return allowed.to(self.device)
