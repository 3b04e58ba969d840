"""Formulas as sympy's expressions: our reading against one by hand, and against math-verify's on real answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sympy

from mentor_pl.rewards.answers.answer import Value
from mentor_pl.rewards.answers.formula import FormulaReader, formula, symbol
from mentor_pl.rewards.answers.functions import Refused, Unreadable
from mentor_pl.rewards.answers.judge import _expression
from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.units import DEGREE, PLAIN, unit_of

DATA = Path(__file__).parents[5] / "shared" / "data"
x, y, n = symbol("x"), symbol("y"), symbol("n")
R, pi = sympy.Rational, sympy.pi


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("2x+3", 2 * x + 3),
        ("-x^2", -(x**2)),
        ("--x+-y", x - y),
        (r"\sqrt[3]{x}y", sympy.cbrt(x) * y),
        (r"\frac{x+1}{2}n", (x + 1) * n / 2),
        ("(x+1)[x-2]", (x + 1) * (x - 2)),
        ("x^{n+1}", x ** (n + 1)),
        ("2^3^2", sympy.Integer(512)),  # from the right
        (r"3 \cdot x / 2", 3 * x / 2),
        ("x/2/y", x / (2 * y)),
        (r"3 \cdot -x", -3 * x),
        ("(1+i)x", (1 + sympy.I) * x),
        (r"e^{i\pi}", sympy.Integer(-1)),
        ("xy", x * y),
        ("x_1x_2", symbol("x_1") * symbol("x_2")),
        ("x'", symbol("x'")),
        (r"\lvert -3 \rvert + |x|", 3 + sympy.Abs(x)),
        (r"\lfloor 7/2 \rfloor \lceil 7/2 \rceil", sympy.Integer(12)),
        ("4! + 6!!", sympy.Integer(72)),
        (r"\binom{7}{3} + {}_5C_2", sympy.Integer(45)),
        (r"\max(2, 9) - \gcd(12, 18)", sympy.Integer(3)),
    ],
)
def test_a_formula_is_read_as_it_is_meant(text: str, expression: sympy.Expr) -> None:
    assert sympy.expand(formula(tokenise(text)) - expression) == 0


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("0.50", R(1, 2)),
        (".5", R(1, 2)),
        ("1.5e3", R(1500)),
        ("6.02E-2", R(602, 10**4)),
        (r"0.1\overline{6}", R(1, 6)),
        (r"0.\dot{3}", R(1, 3)),
        (r"2\frac{1}{4}", R(9, 4)),
        ("-1 1/2", R(-3, 2)),
        (r"2\frac{x}{4}", x / 2),  # no mixed number
        (r"3.2 \times 10^{-4}", R(32, 10**5)),
    ],
)
def test_numbers_are_read_exactly(text: str, expression: sympy.Expr) -> None:
    assert formula(tokenise(text)) == expression


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        (r"\ln 2 \cdot 3", 3 * sympy.log(2)),
        (r"\sin 2x", sympy.sin(2 * x)),
        (r"\sin x \cos y", sympy.sin(x) * sympy.cos(y)),
        (r"\sin^2 x", sympy.sin(x) ** 2),
        (r"\sin^{-1} x", sympy.asin(x)),
        (r"\sin(x)y", sympy.sin(x) * y),
        (r"\log_2 8", sympy.Integer(3)),
        (r"\log 1000", sympy.Integer(3)),  # base ten
        (r"\ln e^4", sympy.Integer(4)),
        (r"\sin 30^\circ", R(1, 2)),
        (r"\cos(2\pi/3)", R(-1, 2)),
        (r"\cot x - \tan^{-1}(-x)", sympy.cot(x) + sympy.atan(x)),
    ],
)
def test_a_function_takes_the_factors_up_to_the_next_sign_or_function(text: str, expression: sympy.Expr) -> None:
    assert sympy.simplify(formula(tokenise(text)) - expression) == 0


@pytest.mark.parametrize("text", ["1/2x", "2 3", "x2"])
def test_what_can_be_read_in_two_ways_is_not_read(text: str) -> None:
    with pytest.raises(Refused):
        formula(tokenise(text))


@pytest.mark.parametrize(
    "text",
    ["", "(", "x)", "1..2", "--", "(1,2)", "x=1", r"\frac{1}", r"\frac{d}{dx}", "|x", r"\sqrt{}", r"\sum x", "2+"],
)
def test_what_is_not_of_the_grammar_is_not_read(text: str) -> None:
    with pytest.raises(Unreadable):
        formula(tokenise(text))


@pytest.mark.parametrize("text", ["9^{9^9}", "((9!)!)!", r"\binom{10000}{5000}", "(x+1)^{3001}", "+".join("1" * 200)])
def test_what_would_take_too_long_is_not_worked_out(text: str) -> None:
    with pytest.raises(Refused):
        formula(tokenise(text))


def test_a_unit_is_a_factor_behind_the_others() -> None:
    for text, expression, measured in (
        (r"3x \text{ cm}", 3 * x * unit_of("cm"), 2),
        ("5 meters", 5 * unit_of("meter"), 1),
        (r"30^\circ", 30 * DEGREE, 1),
        (r"7\mu\mathrm{m}", 7 * unit_of("µm"), 1),
        (r"16\pi cm^2", 16 * pi * unit_of("cm") ** 2, 2),
        (r"x + \mathrm{m}", x + symbol("m"), 3),  # no factor before it
    ):
        reader = FormulaReader(tokenise(text), units=True)
        assert (reader.whole(), reader.measured) == (expression, measured)
    with pytest.raises(Unreadable):
        formula(tokenise("5 meters"))  # nor where a formula alone is asked for


def test_every_formula_of_math500_is_what_math_verify_reads() -> None:
    """It reads letters as small ones, and i as a letter."""
    path = DATA / "benchmarks" / "math500.jsonl"
    if not path.exists():
        pytest.skip(f"real data not found: {path}")
    compared = 0
    for text in {json.loads(line)["answer"] for line in path.read_text().splitlines()}:
        answer = read(text)
        if text.lstrip("-").isdigit() or not isinstance(answer, Value) or answer.unit != PLAIN or answer.percent:
            continue
        theirs = _expression(answer.tokens)
        if theirs is not None:
            small = {one: symbol(one.name.lower()) for one in answer.expression.free_symbols}
            theirs = theirs.doit().xreplace({one: symbol(one.name) for one in theirs.free_symbols})
            ours, theirs = answer.expression.xreplace(small), theirs.subs(symbol("i"), sympy.I)
            assert sympy.simplify(ours - theirs) == 0, text
            compared += 1
    assert compared > 60
