"""One spelling for the many ways to write the same, and equality of strings."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.lexer import MAX_ANSWER, MAX_NESTING, same_text, tokenise


def spelled(text: str) -> str:
    return " ".join(tokenise(text))


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        (r"\dfrac12", r"\frac{1}{2}"),
        ("{5 \\over 6}", r"\frac56"),
        (r"\left( 1, 2 \right]", "(1,2]"),
        (r"\left< 1, 2 \right>", r"\langle 1,2 \rangle"),
        (r"\left\{ 3 \right.", r"\{ 3"),
        (r"\displaystyle \mathbf{x}\,+\;\textcolor{red}{y}", "x+y"),
        (r"\begin{aligned} 4 \end{aligned}", "4"),
        ("$5$", "5"),
        (r"\[ 5 \]", "5"),
        (r"\\frac{1}{2}", r"\frac12"),  # a string escape has doubled the backslash
        ("\x0crac{1}{2}", r"\frac12"),  # … or has eaten it
        ("a <= b", r"a \leqslant b"),
        ("a != b", r"a \not= b"),
        ("x**2", "x^2"),
        ("sqrt(x)/pi", r"\sqrt{x}/\pi"),
        (r"\tg x", r"\tan x"),
        (r"3 \cdot 4", r"3 \times 4"),
        (r"2 \div 3", "2/3"),
    ],
)
def test_styles_escapes_and_synonyms_have_one_spelling(text: str, spelling: str) -> None:
    assert tokenise(text) == tokenise(spelling)


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("π/2", r"\pi/2"),
        ("x² + y⁻³", "x^{2}+y^{-3}"),
        ("a₁₂", "a_{12}"),
        ("√3 ⋅ √(x)", r"\sqrt{3}*\sqrt{x}"),
        ("−4 ≤ x ≠ ∞", r"-4 \leq x \neq \infty"),
        ("½", r"\frac12"),
        ("１２", "12"),  # of full width
        ("٣", "3"),  # Arabic
        ("𝟗𝐱", "9x"),  # bold
        ("Ωφ", r"\Omega \phi"),
        ("7\u200b8", "78"),
        ("1\u00a02", "1 2"),
    ],
)
def test_unicode_is_spelled_as_latex(text: str, spelling: str) -> None:
    assert spelled(text) == spelled(spelling)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("1,234,567.5", ["1234567.5"]),
        (r"1{,}234", ["1234"]),
        (r"12,\!500", ["12500"]),
        (r"1\,000", ["1000"]),
        ("25 000 000", ["25000000"]),
        ("1.234.567", ["1234567"]),
        ("12,34,567", ["1234567"]),  # as in India
        ("1,23", ["1", ",", "23"]),
        ("0,125", ["0", ",", "125"]),
        ("1234,567", ["1234", ",", "567"]),
        ("(1,234)", ["( 1 , 234 )"]),  # in brackets a comma parts two numbers
        ("1 2", ["1", "2"]),
        (".5", [".5"]),
    ],
)
def test_thousands_are_joined_and_lists_are_not(text: str, tokens: list[str]) -> None:
    assert list(tokenise(text)) == tokens


def test_tokens_know_the_space_before_them_and_whether_they_are_upright() -> None:
    three, unit, x = tokenise(r"3\,\text{cm} x")
    assert [(t.gap, t.upright) for t in (three, unit, x)] == [(False, False), (True, True), (True, False)]
    assert [token.upright for token in tokenise(r"\mathrm d \mathbf d")] == [True, False]
    assert [token.gap for token in tokenise("1 1/2")] == [False, True, False, False]


def test_what_is_too_long_or_too_deep_has_no_tokens() -> None:
    for text in ("1 + " * MAX_ANSWER, "(" * (MAX_NESTING + 1)):
        assert tokenise(text) == ()


@pytest.mark.parametrize(
    ("answer", "reference", "same"),
    [
        (r"\dfrac{1}{2}", r"\frac12", True),
        ("Friday", r"\text{friday}", True),
        (r"x=5.", "x = 5", True),
        ("AB", "ab", True),  # words in any case
        ("A", "a", False),  # letters are names
        ("1 1/2", "11/2", False),
        ("0.5", r"\frac12", False),  # equal as numbers, not as strings
        ("", "", False),
        (" ", " ", False),
        (".", ",", False),
        ("." * (MAX_ANSWER + 1), ".", False),
    ],
)
def test_equal_strings(answer: str, reference: str, same: bool) -> None:
    assert same_text(answer, reference) is same
