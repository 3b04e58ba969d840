"""Which answers are the same answer. All pairs are made by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mentor_pl.rewards.math_algebra import _read
from mentor_pl.rewards.math_equality import equal, grade
from mentor_pl.rewards.math_rules import Conventions

DEFAULT = Conventions()

SAME = [
    ("7", "7"),
    ("7.0", "7"),
    ("1,234", "1234"),
    (r"1{,}234", "1234"),
    (r"12,\!500", "12500"),
    (r"\frac12", "0.5"),
    (r"\dfrac{6}{8}", r"\tfrac{3}{4}"),
    ("3/4", r"\frac{3}{4}"),
    (r"-\frac{2}{3}", r"\frac{-2}{3}"),
    (r"2\frac{1}{4}", r"\frac94"),
    (r"2.5 \times 10^{-3}", "0.0025"),
    (r"\sqrt{50}", r"5\sqrt2"),
    ("sqrt(50)", r"5\sqrt{2}"),
    (r"\frac{1}{\sqrt{3}}", r"\frac{\sqrt{3}}{3}"),
    ("3pi", r"3\pi"),
    ("π/2", r"\frac{\pi}{2}"),
    ("x² + 1", "1+x^2"),
    ("(x+1)^2", "x^2+2x+1"),
    (r"\sin^2 x", r"1-\cos^2 x"),
    (r"2\arcsin\sqrt{a}", r"\arccos(1-2a)"),
    (r"\text{Friday}", "friday"),
    (r"\text{(B)}", "B"),
    ("(B) seventeen", "B"),
    ("3, 1, 2", "1, 2, 3"),
    (r"1 \text{ and } 2", r"\{2, 1\}"),
    (r"2 \pm \sqrt{3}", r"2+\sqrt{3}, 2-\sqrt{3}"),
    ("(1, 2)", r"\left( 1,2 \right)"),
    ("(0.5, 3)", r"(\frac{1}{2}, 3)"),
    ("(2,1), (1,2)", "(1,2),(2,1)"),
    ("k < -5", r"(-\infty, -5)"),
    (r"2 \leq x < 7", "[2, 7)"),
    ("7 > x ≥ 2", "[2, 7)"),
    (r"x < 1 \text{ or } x > 4", r"(-\infty,1) \cup (4,\infty)"),
    (r"|x| \le 3", "[-3, 3]"),
    (r"(4,\infty) \cup (-\infty,1)", r"(-\infty,1)\cup(4,\infty)"),
    (r"x \in [-2,7]", "[-2,7]"),
    (r"(0,9)\cup(9,36)", r"(0,36)\setminus\{9\}"),
    ("x = 5", "5"),
    ("5", "x=5"),
    ("y = 2x + 1", "1 + 2x"),
    ("f(m) = 3m", "f(n) = 3n"),
    (r"\frac{3}{4} = 0.75", "0.75"),
    ("x^2 + y^2 = 1", "1 - x^2 - y^2 = 0"),
    (r"15\text{ cm}", "15"),
    ("15 square feet", "15"),
    (r"864 \mbox{ inches}^2", "864"),
    (r"30^\circ", "30"),
    (r"120^\circ", r"\frac{2\pi}{3}"),
    (r"\$18.90", "18.90"),
    ("12^{th} grade", "12"),
    ("50\\%", "0.5"),
    ("50\\%", "50"),
    ("2:3", r"\frac{2}{3}"),
    (r"\begin{pmatrix} 1/2 \\ 3 \end{pmatrix}", r"\begin{pmatrix}\frac12\\3\end{pmatrix}"),
    (r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}", r"\left(\begin{array}{cc}1&2\\3&4\end{array}\right)"),
    ("(1, 2, 3)", r"\begin{pmatrix}1\\2\\3\end{pmatrix}"),
    ("204", "204_5"),
    (r"1011_{2}", "1011_2"),
    ("0.333333", r"\frac13"),
    (r"\frac{600}{7}", "85.71"),
    ("1000,99", "1000.99"),
    (r"\infty", "∞"),
    ("-inf", r"-\infty"),
    (r"1\,000", "1000"),
    ("25 000 000", "25,000,000"),
    ("1.5e3", "1500"),
    (r"6.02\times 10^{23}", "6.02E23"),
    (r"0.\overline{3}", r"\frac13"),
    (r"0.1\overline{6}", r"\frac16"),
    (r"90\degree", "90"),
    (r"\sin 30^\circ", "0.5"),
    (r"\log_2 8", "3"),
    (r"\varnothing", r"\emptyset"),
    (r"\textbf{(D)}\ 12", "D"),
    ("[[1,2],[3,4]]", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}"),
    ("10 cm^2", "10"),
    ("10 m/s", "10"),
    (r"16\pi cm^2", r"16\pi"),
    ("60 miles per hour", "60"),
    (r"x=3 \text{ or } x=-3", "3,-3"),
    ("3x+2 = y", "y=3x+2"),
    ("2y = 6x+4", "y=3x+2"),
    ("f(x) = x^2", "y = x^2"),
    ("D = (0, 1)", "(0, 1)"),
    ("3/4 = 0.75", "x = 0.75"),
    ("b < a", "a > b"),
    ("t > 3", r"(3, \infty)"),
    (r"f(x) = x \text{ for all real } x", "f(x) = x"),
    (r"2k\pi, k \in \mathbb{Z}", r"2k\pi"),
    (r"\approx 3.14", "3.14"),
    ("(1+i)^2", "2i"),
    (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
    (r"e^{ix}", r"\cos x + i\sin x"),
    (r"\ln(xy)", r"\ln x + \ln y"),
    (r"{66^\circ}", "66"),
    ("0.125", "0,125"),
    (r"v^2_0\sqrt{2}", r"\sqrt{2}v_0^2"),
    (r"2^{300}\sqrt{2}", r"\sqrt{2^{601}}"),
]
DIFFERENT = [
    ("7", "8"),
    ("", "0"),
    ("0", ""),
    (r"3^{10^8} \bmod 7", "7"),
    ("7", r"3^{10^8} \bmod 7"),
    ("the last number is 7", "8"),
    ("1 1/2", "11/2"),
    ("1.5", "15"),
    ("0.0000001", "0.0000002"),
    (r"10^{-20}", r"2 \cdot 10^{-20}"),
    (r"\sqrt{2} \cdot 10^{-18}", r"\sqrt{3} \cdot 10^{-18}"),
    ("5", "5.001"),
    ("0.33", r"\frac13"),
    ("0.1", "0.125"),
    ("(2, 1)", "(1, 2)"),
    ("[0, 1)", "[0, 1]"),
    ("(0, 1)", "[0, 1]"),
    ("1, 2", "1, 2, 3"),
    ("1, 2", "1, 3"),
    ("32, 349", "32349"),
    ("2", r"\pm 2"),
    (r"x \le 5", r"x \ge 5"),
    ("x = 1", "y = 1"),
    ("11a + c", "7 = 11a + c"),
    ("x^2+2x+1", "x^3+2x+1"),
    ("x", "y"),
    ("f(x)", "f(y)"),
    (r"\frac{3}{x}", "3"),
    ("15 cm", "15 m"),
    ("3 hours", "3 minutes"),
    ("4_9", "40_9"),
    ("1011_2", "1011_3"),
    ("12:00", "1:00"),
    ("B", "C"),
    (r"\text{odd}", r"\text{even}"),
    (r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}", r"\begin{pmatrix} 1 \\ 3 \end{pmatrix}"),
    ("10^{10}", "10^{10^{10^{10}}}"),
    ("50\\%", "5"),
    ("2 3", "5"),
    ("1 000", "1"),
    (r"0.\overline{3}", "0.3"),
    ("12xy", "12"),
    ("5ab", "5cd"),
    ("2s", "2"),
    ("x = 1 or x = 2", "2"),
    ("D = (0, 1.5)", "D = (0, 1)"),
    ("x > 3", "y > 3"),
    ("f'(x)", "f(x)"),
    ("A^T", "A"),
    (r"0.333\ldots", "0.333333"),
    ("(1+i)^2", "-2i"),
    ("3+4i", "3-4i"),
    (r"e^{ix}", r"\cos x - i\sin x"),
    (r"\sin 30^\circ", r"\sin 30"),
    ("2y = 6x+4", "y=3x+1"),
    ("8.12", "8,12"),
    ("(0, 1.5) = D", "(0, 1) = D"),
    ("[1,2,3)", "(1,2,3)"),
    ("2^{2008} + 2", "2^{2008} - 2"),
    (r"2^{2008} + \sqrt{2}", r"2^{2008} - \sqrt{2}"),
    ("-37_83", "-37_8"),
    ("9 cm^2", "9 cm^3"),
    ("f(y) = x - 1", "f(x) = x - 1"),
]


@pytest.mark.parametrize(("answer", "reference"), SAME)
def test_the_same_answer_is_accepted(answer: str, reference: str) -> None:
    assert equal(answer, reference, DEFAULT)


@pytest.mark.parametrize(("answer", "reference"), DIFFERENT)
def test_another_answer_is_rejected(answer: str, reference: str) -> None:
    assert not equal(answer, reference, DEFAULT)


@pytest.mark.parametrize(
    ("convention", "answer", "reference", "accepted"),
    [
        ({"units": "require"}, r"15\text{ cm}", "15", False),
        ({"units": "require"}, "30", r"30^\circ", False),
        ({"base_suffix": "require"}, "204", "204_5", False),
        ({"percent": "exact"}, "50\\%", "50", False),
        ({"percent": "exact"}, "50\\%", "0.5", True),
        ({"left_side": "require"}, "x = 5", "5", False),
        ({"list_order": "keep"}, "2, 1", "1, 2", False),
        ({"tuple_order": "ignore"}, "(2, 1)", "(1, 2)", True),
        ({"letters": "require"}, "(B) seventeen", "B", False),
        ({"decimals": "either"}, "85.71", r"\frac{600}{7}", True),
        ({"decimals": "reference"}, "85.71", r"\frac{600}{7}", False),
        ({"decimals": "exact"}, r"\frac{600}{7}", "85.71", False),
        ({"tolerance": 0.01}, "1.005", "1", True),
        ({"tolerance": 0.001}, "1.005", "1", False),
        ({"tolerance": 0.01}, r"\pi", "3.14", True),
    ],
)
def test_each_convention_can_be_chosen(convention: dict[str, Any], answer: str, reference: str, accepted: bool) -> None:
    assert equal(answer, reference, replace(DEFAULT, **convention)) is accepted


def test_an_equation_that_reads_as_false_is_not_read() -> None:
    assert _read("D = (0, 1)") is None


def test_what_cannot_be_read_is_wrong_not_an_error() -> None:
    for answer in (r"\frac{1}{0}", "{" * 10, "}{", r"\sqrt", "\x00", "1e999999999", "((", r"\begin{pmatrix}", "=", "<"):
        assert grade(DEFAULT.request(answer, "5")) is False
