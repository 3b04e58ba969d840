"""What an expert of another family will read and say for a guided token, found by walking through a text.

At each place the text goes on as it does: the expert hears what stands before the place, as its tokenizer reads that,
and says what its tokenizer makes of the rest, until the policy's first token of that is fixed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mentor_pl.decoding.text.healing import Healing
from mentor_pl.decoding.text.saying import MOST_SAID, first_said
from mentor_pl.models.text_expert import TextExpert
from mentor_pl.models.text_tokenizer import GrowingText, common

AHEAD = 256  # characters of the rest that are looked at: more than is said for one token


@dataclass
class Walk:
    """What was found in one text, or in several.

    Attributes:
        ours, theirs: tokens, by the policy's tokenizer and by the expert's.
        boundaries: between two tokens of the policy, those inside a character left out.
        apart: of these, how many are inside a token of the expert.
        said: of each place that was looked at, tokens that the expert says there.
        again: likewise, tokens it has heard there that the whole text does not have: once the text has gone on, the
            same characters are read again as others.
    """

    ours: int = 0
    theirs: int = 0
    boundaries: int = 0
    apart: int = 0
    said: list[int] = field(default_factory=list)
    again: list[int] = field(default_factory=list)

    def __add__(self, other: Walk) -> Walk:
        return Walk(*(one + more for one, more in zip(vars(self).values(), vars(other).values(), strict=True)))


def walk(expert: TextExpert, text: str, behind: Sequence[int], places: int, healing: Healing | None = None) -> Walk:
    """Go through a response.

    Args:
        text: the response.
        behind: tokens of the expert's prompt.
        places: of the policy's tokens that are looked at, at most, at equal distances.
        healing: where it goes back before its last token.
    """
    ours, theirs = expert.ours.tokens(text), expert.theirs.tokens(text)
    starts = sorted(set(ours.starts))
    if not starts:
        return Walk()
    found = Walk(len(ours.ids), len(theirs.ids), len(starts) - 1, len(set(starts) - set(theirs.starts)))
    growing = GrowingText(expert.theirs)
    for start in starts[:: -(-len(starts) // places)]:
        heard = list(growing.tokenised(text[:start]))
        found.again.append(len(heard) - common(heard, theirs.ids))
        found.said.append(_said(expert, text, start, [*behind, *heard], healing if heard else None))
    return found


def _said(expert: TextExpert, text: str, start: int, heard: Sequence[int], healing: Healing | None) -> int:
    """Tokens that the expert says from a place on, its end of turn counted where it comes to that."""
    covered = ""
    if healing is not None:
        heard, covered = healing.gone_back(heard)
    ids = expert.theirs.tokens(text[start - len(covered) : start + AHEAD]).ids
    for count in range(1, MOST_SAID):
        first = first_said(expert.ours, expert.theirs, heard, ids[:count], covered, count > len(ids))
        if first is not None or count > len(ids):
            return count
    return MOST_SAID
