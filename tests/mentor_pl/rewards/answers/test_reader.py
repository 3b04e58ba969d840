"""What a text is read as, from separators down to values."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.answer import Answer, Group, Named, Relation, Spelled, Value
from mentor_pl.rewards.answers.equality import same
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.units import DEGREE, MONEY, PLAIN


def shape(answer: Answer) -> str:
    """An answer in one line: `kind[part; part]`, `name := value`, "words", values as sympy writes them, `?` and `!`."""
    if isinstance(answer, Group):
        return f"{answer.kind}[{'; '.join(map(shape, answer.parts))}]"
    if isinstance(answer, Named):
        return f"{answer.name} := {shape(answer.value)}"
    if isinstance(answer, Relation):
        return f"{answer.difference} {answer.sign} 0"
    if isinstance(answer, Spelled) and all(token.isalnum() for token in answer.tokens):
        return f'"{answer.key}"'
    if isinstance(answer, Value):
        return str(answer.expression) + "%" * answer.percent
    return "!" if isinstance(answer, Spelled) else "?"


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("1, 2", "list[1; 2]"),
        (r"3; 7 \text{ and } 5", "list[3; 7; 5]"),
        ("x = 1 or x = 2", "list[x := 1; x := 2]"),
        ("p=5, q=2; p=7, q=2", "list[()[p := 5; q := 2]; ()[p := 7; q := 2]]"),
        (r"1 \pm 2 \mp 3", "list[0; 2]"),  # the signs go together
        (r"\pm 2", "list[2; -2]"),
        (r"2k\pi, k \in \mathbb{Z}", "2*pi*k"),
        ("7,", "7"),
        (" , ", '""'),
        ("", '""'),
    ],
)
def test_separators_make_lists(text: str, seen: str) -> None:
    assert shape(read(text)) == seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("(1, 2)", "()[1; 2]"),
        ("[0, 1)", "[)[0; 1]"),
        (r"\langle 1, 2 \rangle", "()[1; 2]"),
        (r"\{1, 2\}", "set[1; 2]"),
        (r"\{(1, 2), (3, 4)\}", "set[()[1; 2]; ()[3; 4]]"),
        ("((7))", "7"),
        ("[7]", "7"),
        ("(1)(2)", "2"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "matrix[()[1; 2]; ()[3; 4]]"),
        (r"\left[\begin{array}{cc} 1 & 2 \\ 3 & 4 \end{array}\right]", "matrix[()[1; 2]; ()[3; 4]]"),
        ("[[1, 2], [3, 4]]", "matrix[()[1; 2]; ()[3; 4]]"),
        (r"\begin{vmatrix} 1 & 2 \end{vmatrix}", "determinant[()[1; 2]]"),
        (r"3 \pmod{5}", "residue[3; 5]"),
        ("3 (mod 5)", "residue[3; 5]"),
        (r"101_{\text{two}}", 'base["101"; 2]'),
        ("2A_{16}", 'base["2A"; 16]'),
        ("a_1", "a_1"),  # an index, no base
        ("3:4:5", "ratio[1; 4/3; 5/3]"),
        (r"3 \text{ to } 4", "ratio[1; 4/3]"),
        ("3:30 p.m.", "time[930]"),
        ("12 AM", "time[0]"),
        (r"[0,1] \cup \{3\}", "union[[][0; 1]; set[3]]"),
    ],
)
def test_brackets_and_signs_make_groups(text: str, seen: str) -> None:
    assert shape(read(text)) == seen


@pytest.mark.parametrize(
    "text",
    ["5", "5.", "5;", "$5$", "(5)", "= 5", "The answer is 5", "about 5", r"\approx 5", r"\text{The sum is } 5",
     "5 (approximately)", "5 for all real x", r"\boxed{5}", r"\text{ }5\text{ }"],
)  # fmt: skip
def test_labels_hedges_remarks_and_punctuation_are_taken_off(text: str) -> None:
    assert shape(read(text)) == "5"


def test_a_label_is_a_name_that_only_another_label_must_share() -> None:
    def equal(answer: str, reference: str) -> bool:
        return same(read(answer), read(reference), Conventions())

    assert equal("Answer: 5", "5") and equal(r"\text{Maximum: } 5", "x = 5")
    assert not equal("Maximum: 5", "Minimum: 5")


@pytest.mark.parametrize(
    "text", ["not 5", "5 or more", "5 (not six)", "5 (or 6)", r"x \to 5", "5 tenths more", "over 5"]
)
def test_words_that_say_something_else_are_not_taken_off(text: str) -> None:
    assert shape(read(text)) != "5"


def test_values_have_places_percent_signs_and_units() -> None:
    found = [
        read(text) for text in ("3.50", r"2.5 \times 10^{-3}", "1.5e3", r"12.5\%", "7", r"\frac12", r"\$5", r"9^\circ")
    ]
    assert all(isinstance(one, Value) for one in found)
    assert [(one.places, one.percent, one.unit) for one in found if isinstance(one, Value)] == [
        (2, False, PLAIN),
        (4, False, PLAIN),
        (0, False, PLAIN),
        (1, True, PLAIN),
        (None, False, PLAIN),
        (None, False, PLAIN),
        (None, False, MONEY),
        (None, False, DEGREE),
    ]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (r"\text{Tuesday}", '"tuesday"'),
        (r"\text{The red house}", '"red house"'),
        (r"\text{Ann's}", '"ann s"'),
        ("twenty-five", "25"),
        (r"\text{no real solution}", "set[]"),
        ("infinitely many", "oo"),
        ("1/2x", "!"),  # to be read in two ways
        ("9^{9^9}", "!"),
        (r"\frac10", "!"),
        (r"\sum_{k=1}^9 k", "?"),
        (r"\frac{d}{dx} f", "!"),
    ],
)
def test_words_are_words_and_the_rest_is_nonsense_or_left_to_the_judge(text: str, seen: str) -> None:
    assert shape(read(text)) == seen
