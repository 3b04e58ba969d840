"""Our own reader against latex2sympy: the same expressions, or none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sympy

from mentor_pl.rewards.answers import algebra
from mentor_pl.rewards.answers.grammar import read_everyday
from mentor_pl.rewards.answers.text import tidy

DATA = Path(__file__).parents[5] / "shared" / "data"
x, y, n = sympy.symbols("x y n", real=True)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("2x+3", 2 * x + 3),
        ("-x^2", -(x**2)),
        (r"3\sqrt{2}", 3 * sympy.sqrt(2)),
        (r"\sqrt[3]{x}y", sympy.cbrt(x) * y),
        (r"\frac{x+1}{2}n", (x + 1) * n / 2),
        ("(x+1)(x-2)", (x + 1) * (x - 2)),
        ("x^{n+1}", x ** (n + 1)),
        ("0.5x", x / 2),
        (r"3 \cdot x / 2", 3 * x / 2),
        (r"2\pi(x+1)", 2 * sympy.pi * (x + 1)),
        ("(1+i)x", (1 + sympy.I) * x),
        ("x - y - 1", x - y - 1),
    ],
)
def test_everyday_algebra_is_read(text: str, expression: sympy.Expr) -> None:
    assert sympy.expand(read_everyday(text) - expression) == 0


@pytest.mark.parametrize(
    "text",
    ["1/2x", "x(y)", r"2\frac{1}{2}", "2 1", "x2", "dx", "f'(x)", "x_1", "1,2", "(1,2)", "|x|", "x=1", "", "(", "x^",
     "x^2^3", r"\sin x", "9^{9^9}", r"\frac{1}", "X", "3!", r"\sqrt[0]{2}", "x)", "1..2", "--"],
)  # fmt: skip
def test_what_is_not_of_the_grammar_or_could_be_read_in_two_ways_is_left_alone(text: str) -> None:
    assert read_everyday(text) is None


def test_every_answer_of_math500_that_it_reads_is_what_latex2sympy_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    path = DATA / "benchmarks" / "math500.jsonl"
    if not path.exists():
        pytest.skip(f"real data not found: {path}")
    answers = {tidy(json.loads(line)["answer"]) for line in path.read_text().splitlines()}
    ours = {text: read_everyday(text) for text in answers if not text.lstrip("-").isdigit()}
    read = {text: value for text, value in ours.items() if value is not None}
    assert len(read) > 60
    monkeypatch.setattr(algebra, "read_everyday", lambda text: None)
    algebra._read_expression.cache_clear()
    for text, value in read.items():
        assert sympy.simplify(value - algebra._read_expression(text).doit()) == 0, text
    algebra._read_expression.cache_clear()
