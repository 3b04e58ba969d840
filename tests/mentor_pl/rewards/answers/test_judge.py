"""math-verify's verdicts, and what is never put to it."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.judge import judged_equal
from mentor_pl.rewards.answers.lexer import tokenise


def judged(answer: str, reference: str) -> bool:
    return judged_equal(tokenise(answer), tokenise(reference))


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("x+1", "1+x"),
        (r"\{1,2\} \cup \{3\}", r"\{1,2,3\}"),
        (r"2\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}2\\4\end{pmatrix}"),
    ],
)
def test_what_it_reads_whole_it_judges(answer: str, reference: str) -> None:
    assert judged(answer, reference)
    assert not judged(answer, reference.replace("1", "5").replace("4", "5"))


@pytest.mark.parametrize(
    "text",
    [r"\sum_{k=1}^{9} k", r"\int x dx", r"\lim_{x \to 0} x", r"\def\a{\a\a}", "some sum", "2 3", "7" * 40, "x!", "f'",
     r"x \equiv 3", r"0.\overline{3}", "A^T", "2^{10000}", "+".join("x" * 61), "1, 2, \\dots", ""],
)  # fmt: skip
def test_what_could_run_without_bound_or_is_known_to_be_read_wrong_equals_nothing(text: str) -> None:
    assert not judged(text, text)
