r"""Labels of hand-made responses to the star of tests/mentor_pl/rewards/test_path_star.py:

n07 – n20 – n05      the goal is n05
n07 – n03 – n11
"""

from __future__ import annotations

import pytest

from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.path_star.labels import labels

PROBLEM = "edges n03 n11 | n07 n20 | n07 n03 | n20 n05 | start n07 goal n05"
NAMES = {True: "D", False: "f", None: "-"}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (r"<think> n20 n05 </think> \boxed{ n20 n05 } <eos>", "fDfffffff"),
        (r"<think> n20 n05 </think> \boxed{ n20 n05 }", "fDffffff"),  # the text of a rollout has no stop token
        (r"<think> n03 n11 </think> \boxed{ n03 n11 } <eos>", "fDfffffff"),  # a wrong arm is forced in the same way
        ("<think> n05 </think>", "fD-"),  # the first node is next to no centre
        ("<think> n20 n11 </think>", "fDf-"),  # the word that leaves the form has its label yet
        (r"<think> n20 </think> \boxed{", "fDf-"),
        (r"<think> n20 n05 </think> \boxed{ n03 n11 }", "fDffff--"),
        (r"<think> n20 n05 </think> \boxed{ n20 n05 n05 }", "fDffffff-"),
        (r"<think> n20 n05 </think> \boxed{ n20 n05 } <eos> n05 n05", "fDfffffff--"),
        ("n20 <think>", "f-"),
        ("", ""),
    ],
)
def test_the_first_node_is_the_one_decision(response: str, expected: str) -> None:
    assert "".join(NAMES[label] for label in labels(PROBLEM, response.split())) == expected


def test_a_star_of_one_arm_leaves_nothing_to_decide() -> None:
    words = ["<think>", "n20", "n05", "</think>", r"\boxed{", "n20", "n05", "}", "<eos>"]
    assert labels("edges n07 n20 | n20 n05 | start n07 goal n05", words) == [False] * 9


def test_what_is_no_path_star_has_no_labels() -> None:
    with pytest.raises(UsageError, match="no path-star problem"):
        labels("blocked c01 c12 c33 goal c20 start c00", ["<think>"])
