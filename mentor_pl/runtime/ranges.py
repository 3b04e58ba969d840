"""The range of a numeric setting, stated once where the setting is taken, and its refusal in one line.

    check("gate p", p, above=0, below=1, because="a quantile lies strictly between 0 and 1")

says of 1.5: `gate p is 1.5, but a quantile lies strictly between 0 and 1: give more than 0 and less than 1`. What is
no number is outside every range, and so is what is infinite, and a count that no machine counts to.
"""

from __future__ import annotations

import math

from mentor_pl.runtime.errors import UsageError

MAX_COUNT = 2**31 - 1  # of steps, tokens, processes, MiB: what libraries take
MAX_GROUP = 4096  # rollouts of one problem, all of which are held at a time
MAX_SECONDS = 1e8  # three years; beyond some hundred years clocks and timers overflow
MAX_SEED = 2**32 - 1  # Lightning's `seed_everything` takes no more


def check(
    key: str,
    value: float | int | None,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
    infinite: bool = False,
    because: str = "",
    otherwise: str = "",
) -> None:
    """Refuse a value outside its range. None is in every range: it stands for a setting that is not set.

    Args:
        key: how the user finds the setting.
        value: what was given.
        at_least, above, at_most, below: the range.
        infinite: whether infinity, too, is a value.
        because: the rule, in words.
        otherwise: a further remedy.

    Raises:
        UsageError: where the value is not in the range, with key, value, rule and remedy.
    """
    if isinstance(value, int) and value > MAX_COUNT and at_most == below == math.inf:
        at_most = MAX_COUNT
    if value is None or (
        at_least <= value <= at_most
        and (above < value or above == -math.inf)
        and (value < below or below == math.inf)
        and (infinite or math.isfinite(value))
    ):
        return
    bounds = {"more than": above, "at least": at_least, "less than": below, "at most": at_most}
    wanted = " and ".join(f"{word} {bound:.12g}" for word, bound in bounds.items() if math.isfinite(bound))
    rule = f", but {because}" if because else ""
    remedy = f", {otherwise}" if otherwise else ""
    raise UsageError(f"{key} is {value}{rule}: give {wanted or 'a finite number'}{remedy}")


def check_seed(key: str, seed: int | None) -> None:
    """Refuse a seed that not every generator takes."""
    check(key, seed, at_least=0, at_most=MAX_SEED, because="it seeds generators of 32 bits")
