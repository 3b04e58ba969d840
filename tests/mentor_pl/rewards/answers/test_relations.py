"""Names, chains of values, equations and inequalities."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.answer import Answer, Group, Named, Relation, Spelled, Value
from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.relations import name_of


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("x", ("x", "")),
        (r"\alpha", (r"\alpha", "")),
        ("a_1", ("a_{1}", "")),
        ("f(n)", ("f", "n")),
        ("f'(x)", ("f'", "x")),
        ("P(A)", ("P(A)", "")),
        ("f(2)", ("f(2)", "")),
        ("(x, y)", ("(x,y)", "")),
        ("|AB|", ("|AB|", "")),
        (r"\angle ABC", (r"\angleABC", "")),
        ("area", ("area", "")),
        (r"\text{total cost}", ("totalcost", "")),
        ("AB", ("AB", "")),
        *((text, None) for text in ("2x", "x + 1", "xy", r"\pi", "e", "i", r"\infty", "5", "x^2", "(1, 2)", "f(x)g")),
    ],
)
def test_a_name_is_told_from_a_product_a_constant_and_a_formula(text: str, name: tuple[str, str] | None) -> None:
    assert name_of(tokenise(text)) == name


@pytest.mark.parametrize(
    ("text", "names", "value"),
    [
        ("x = 5", ["x"], "5"),
        ("x = 2 + 3 = 5", ["x"], "5"),
        (r"x = \frac13 \approx 0.33", ["x"], r"\frac { 1 } { 3 }"),
        ("3/4 = 0.75", [], "0.75"),
        ("f(x) = 2x", ["f"], "2 x"),
        (r"x \in S", ["x"], "S"),
        ("area = 9", ["area"], "9"),
    ],
)
def test_a_chain_is_its_last_exact_value_under_its_names(text: str, names: list[str], value: str) -> None:
    found, seen = read(text), []
    while isinstance(found, Named):
        seen.append(found.name)
        found = found.value
    assert (seen, found.key) == (names, value)


def test_equal_names_share_the_value() -> None:
    found = read("a = b = 4")
    assert isinstance(found, Group) and found.kind == "list"
    assert [(one.name, one.value.key) for one in found.parts if isinstance(one, Named)] == [("a", "4"), ("b", "4")]


def test_a_chain_that_is_false_is_nonsense_and_an_equation_is_a_relation() -> None:
    assert isinstance(read("2 = 3"), Spelled)
    assert isinstance(read("1/2 = 0.5 = 5"), Spelled)
    for text, sign in (("x^2 + y^2 = 1", "="), ("x + y < 3", "<"), (r"x + y \neq 3", r"\neq")):
        found = read(text)
        assert isinstance(found, Relation) and found.sign == sign


def test_inequalities_turn_so_that_the_smaller_side_is_left() -> None:
    for ours, theirs in (("x + y > 3", "3 < x + y"), (r"x + y \geq 3", r"3 \leq x + y")):
        a, b = read(ours), read(theirs)
        assert isinstance(a, Relation) and isinstance(b, Relation)
        assert (a.sign, a.difference) == (b.sign, b.difference)


@pytest.mark.parametrize(
    ("text", "kind", "ends"),
    [
        ("1 < x < 2", "()", ["1", "2"]),
        (r"1 \leq x < 2", "[)", ["1", "2"]),
        (r"2 > x \geq 1", "[)", ["1", "2"]),
        (r"x \leq 4", "(]", ["-oo", "4"]),
        ("4 < x", "()", ["4", "oo"]),
    ],
)
def test_a_name_between_bounds_is_an_interval_that_it_names(text: str, kind: str, ends: list[str]) -> None:
    found = read(text)
    assert isinstance(found, Named) and found.name == "x"
    assert isinstance(found.value, Group) and found.value.kind == kind
    assert [end.key for end in found.value.parts] == ends


@pytest.mark.parametrize("text", ["x =", "x <", "x = 1 < 2", r"2 \in S"])
def test_what_is_no_relation_as_a_whole_has_neither_name_nor_value(text: str) -> None:
    assert not isinstance(read(text), Named | Value | Relation | Group)
    assert isinstance(read(text), Answer)
