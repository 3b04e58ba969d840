"""How far an expert speaks for one token of the policy, and what token its own come to."""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.models.text_tokenizer import CUT_OFF, TextTokenizer

MOST_SAID = 16  # tokens of the expert for one of the policy
TOKENS_PER_TOKEN = 2  # of the expert's for one of the policy's, that its cache has room for from the start


def first_said(
    policy: TextTokenizer, expert: TextTokenizer, heard: Sequence[int], said: Sequence[int], covered: str, whole: bool
) -> int | None:
    """The policy's token that `said` comes to, behind what the expert has `heard`; None where more may change it.

    Args:
        covered: text that `said` says again.
        whole: the expert says no more.
    """
    text = expert.text(said, heard, special=False)[len(covered) :]
    return None if text.endswith(CUT_OFF) and not whole else policy.first_token(text.rstrip(CUT_OFF), whole)


def likely_tokens(longest: int, max_new_tokens: int, window: int) -> int:
    """Tokens of the expert for a rollout with a prompt of `longest`, that memory is set aside for."""
    return min(longest + TOKENS_PER_TOKEN * max_new_tokens + MOST_SAID, window)
