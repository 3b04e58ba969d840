r"""Which words of a response to a path-star problem are decisions, and which are forced.

    <think> n20 n05 </think> \boxed{ n20 n05 }
    .       d   .   .        .       .   .   .

The one decision is the first node, any of those next to the centre. Everything behind it follows from the edges or from
the thought, whichever arm was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

from mentor_pl.rewards.path_star import parse_problem
from mentor_pl.testbed.path_star.solutions import answer
from mentor_pl.testbed.tokenizer import EOS


def labels(problem: str, words: Sequence[str]) -> list[bool | None]:
    """For every word of a response whether its position is a decision; None from where it has left the form on.

    The word that leaves the form still has the label of its position.

    Args:
        problem: the star as its prompt words it.
        words: of the response; the stop token `<eos>` may be the last.

    Raises:
        UsageError: the problem is no path-star.
    """
    forms = [[*answer(arm), EOS] for arm in parse_problem(problem).arms.values()]  # one way to end from each arm on
    found: list[bool | None] = []
    for place, word in enumerate(words):
        allowed = {form[place] for form in forms if place < len(form)}
        found.append(len(allowed) > 1 if allowed else None)
        forms = [form for form in forms if place < len(form) and form[place] == word]
    return found
