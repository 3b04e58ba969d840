"""Guesses of what comes next, from what has been said: the text behind the last place where the same tokens stood."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST, SHORTEST = 4, 2  # tokens that must agree; the longer ones are looked for first


def guess(tokens: Sequence[int], count: int) -> list[int]:
    """Up to `count` tokens that followed the last tokens where they stood before; none where they never did."""
    for n in range(min(LONGEST, len(tokens) - 1), SHORTEST - 1, -1):
        tail = list(tokens[-n:])
        for end in range(len(tokens) - 1, n - 1, -1):  # the latest place first
            if tokens[end - 1] == tail[-1] and list(tokens[end - n : end]) == tail:
                return list(tokens[end : end + count])
    return []
