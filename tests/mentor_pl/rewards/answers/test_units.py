"""What stands behind a number."""

from __future__ import annotations

from typing import Any

import pytest
import sympy

from mentor_pl.rewards.answers.answer import Value
from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.units import DEGREE, MONEY, PLAIN, in_base, is_unit_word, letters_apart, unit_of


def unit(text: str) -> Any:
    """What stands behind a number, in base units; None where it is not read."""
    found = read(f"7 {text}")
    return found.unit if isinstance(found, Value) and found.expression == 7 else None


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("centimeters", "cm"),
        ("km/h", "kilometers per hour"),
        (r"\text{ m/s}^2", r"\mathrm{m} \cdot \mathrm{s}^{-2}"),
        ("square feet", "ft^2"),
        ("cubic meters", r"\text{m}^3"),
        ("sq cm", r"\text{cm}^2"),
        ("liters", "cubic decimeter"),
        (r"\text{J}/(\text{kg K})", r"\text{m}^2/(\text{s}^2 \cdot \text{K})"),
        ("dollars", r"\$"),
        (r"^\circ", "degrees"),
        (r"\,\mathrm{k\Omega}", "kiloohm"),
        (r"µ\text{m}", "micrometer"),
        (r"\text{m}/\text{s} \cdot \text{kg}", r"\text{kg m}/\text{s}"),  # a stroke holds for one unit
    ],
)
def test_one_unit_has_many_names(ours: str, theirs: str) -> None:
    assert unit(ours) == unit(theirs) is not None


def test_units_are_products_of_base_units_with_an_exact_factor() -> None:
    meter, second = unit("meters"), unit("seconds")
    assert unit("km") == 1000 * meter
    assert unit("km/h") == sympy.Rational(5, 18) * meter / second
    assert unit("cents") == MONEY / 100
    assert unit("degrees") == DEGREE
    assert unit("units") == PLAIN
    assert unit(r"\text{red marbles}") == unit("marbles") == in_base(unit_of("marbles"))
    assert unit(r"\mathrm{dB}") == unit_of("decibel")  # logarithmic: a base of its own


def test_degrees_of_heat_are_not_kelvins() -> None:
    heats = unit(r"^{\circ}C"), unit(r"\mathrm{K}"), unit(r"^{\circ}F"), unit(r"\text{degrees Celsius}")
    assert len(set(heats)) == 3 and heats[0] == heats[3]
    assert all((heat / heats[1]).is_number for heat in heats)


@pytest.mark.parametrize(
    "text", ["tenths", "squared", "or more", "not", "twenty", "per cent more", "percent more", "x y z", "?"]
)
def test_words_that_make_another_number_of_it_are_no_units(text: str) -> None:
    assert unit(text) is None


def test_a_percent_sign_is_no_unit() -> None:
    for text in ("percent", "%", r"\%", "per cent"):
        found = read(f"7 {text}")
        assert isinstance(found, Value) and found.percent and found.unit == PLAIN


def test_a_unit_is_told_from_a_variable() -> None:
    def units(text: str) -> list[bool]:
        return [is_unit_word(token) for token in letters_apart(tokenise(text))]

    assert [units(text) for text in (r"\text{cm}", r"\text{m}", "apples", r"\$")] == [[True]] * 4
    assert [any(units(text)) for text in ("m", "xy", "ABCD", r"\mathrm{e}", "7")] == [False] * 5
