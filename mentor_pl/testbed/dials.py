"""The ranges of dials that tasks have in common."""

from __future__ import annotations

from mentor_pl.runtime.ranges import check


def check_probabilities(whose: str, **dials: float) -> None:
    """Refuse a dial that is no probability; `execution` is one of at least ½.

    Args:
        whose: policy or expert, as the option begins.
        dials: name -> value.

    Raises:
        UsageError: with option, value and range.
    """
    for name, value in dials.items():
        least, why = (0.5, "below, wrong words are the rule") if name == "execution" else (0, "it is a probability")
        check(f"{whose}.{name}", value, at_least=least, at_most=1, because=why)
