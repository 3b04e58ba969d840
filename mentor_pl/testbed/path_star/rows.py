"""Lines of path-star's problem files."""

from __future__ import annotations

from typing import Any

from mentor_pl.rewards.path_star import PathStar
from mentor_pl.testbed.path_star.labels import labels
from mentor_pl.testbed.path_star.solutions import answer


def problem_row(star: PathStar) -> dict[str, Any]:
    """One line of a problem file: the answer is the only one."""
    return {
        "problem": star.text(),
        "answer": " ".join(star.path()),
        "start": star.start,
        "goal": star.goal,
        "arms": [" ".join(arm) for arm in star.arms.values()],
    }


def trace(star: PathStar) -> dict[str, Any]:
    """The right answer as the expert words it, the only one there is, and the places of its decisions."""
    words = answer(star.path())
    decisions = [place for place, label in enumerate(labels(star.text(), words)) if label]
    return {"demonstrations": [" ".join(words)], "decisions": decisions}
