"""Some rollouts of a step, token by token, as far as a table of samples says them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import torch

from mentor_pl.records.page.spacing import gaps
from mentor_pl.records.rows import clean
from mentor_pl.records.schema import ORIGINS
from mentor_pl.runtime.printable import printable
from mentor_pl.types import Rollouts

PIECE: Final = 200  # characters of a token that are shown
PROMPT: Final = 2000  # likewise of a prompt


@dataclass(frozen=True)
class Token:
    """A token of a response.

    Attributes:
        text: as it is shown, white space in front included.
        mark: what guidance did: guided, replaced or given; empty for nothing.
        draft: the policy's token that fell, where the mark is replaced.
    """

    text: str
    mark: str = ""
    draft: str = ""


@dataclass(frozen=True)
class Sample:
    """A rollout.

    Attributes:
        prompt: what the policy read.
        kind: policy, mixture or demonstration.
        reward: none where it is not graded.
        guided: share of its tokens.
        tokens: of the response, the stop token included.
    """

    prompt: str
    kind: str
    reward: float | None
    guided: float
    tokens: Sequence[Token]


def samples_of(rollouts: Rollouts, count: int, decode: Callable[[list[int]], str]) -> list[Sample]:
    """The first rollouts of each kind and group, so that kinds of one prompt can be compared; ordered by group.

    Args:
        rollouts: of a step, on any device.
        count: rollouts at most.
        decode: from ids to text, special tokens included.
    """
    chosen = torch.zeros(len(rollouts), dtype=torch.bool, device=rollouts.group.device)
    chosen[_first(rollouts.group.tolist(), rollouts.origin.tolist(), count)] = True
    some = rollouts.only(chosen).to("cpu")
    found = []
    for row, length in enumerate(some.response_lengths.tolist()):
        pieces = [_piece(decode, one) for one in some.response_ids[row, :length].tolist()]
        drafts = [] if some.drafts is None else some.drafts[row, :length].tolist()
        spaced = gaps(clean(some.texts[row]) if some.texts else "", pieces)[0]
        marks = {name: getattr(some, name)[row, :length].tolist() for name in ("replaced", "guided", "given")}
        tokens = []
        for place, piece in enumerate(pieces):
            mark = next((name for name, flags in marks.items() if flags[place]), "")
            draft = _shown(_piece(decode, drafts[place])) if mark == "replaced" and drafts else ""
            tokens.append(Token(" " * spaced[place] + _shown(piece), mark, draft))
        prompt = clean(decode(some.prompt_ids[row, : int(some.prompt_lengths[row])].tolist()))
        reward = float(some.rewards[row])
        found.append(
            Sample(
                prompt=printable(prompt[:PROMPT], keep="\n") + "…" * (len(prompt) > PROMPT),
                kind=ORIGINS[int(some.origin[row])],
                reward=None if reward != reward else reward,
                guided=sum(marks["guided"]) / max(1, length),
                tokens=tokens,
            )
        )
    return found


def _first(groups: Sequence[int], origins: Sequence[int], count: int) -> list[int]:
    """Rollouts in this order: the first of each kind in each group, then the second of each, and so on."""
    seen = Counter[tuple[int, int]]()
    order = []
    for row, key in enumerate(zip(groups, origins, strict=True)):
        order.append((seen[key], key, row))
        seen[key] += 1
    return [row for _, _, row in sorted(order)[:count]]


def _piece(decode: Callable[[list[int]], str], token: int) -> str:
    return clean(decode([token]))


def _shown(piece: str) -> str:
    """A token's text without what would steer a display; line breaks stay, behind a sign."""
    cut = piece if len(piece) <= PIECE else piece[:PIECE] + "…"
    return printable(cut, keep="\n").replace("\n", "↵\n") or "∅"
