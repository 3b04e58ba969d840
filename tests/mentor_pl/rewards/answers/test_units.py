"""What stands behind a number."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.units import DEGREE, MONEY, PLAIN, Unit, is_unit_word, read_unit


def unit(text: str) -> Unit | None:
    return read_unit(tokenise(text))


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
        (r"\,k\Omega", "kiloohm"),
        ("µm", "micrometer"),
        (r"\text{m}/\text{s} \cdot \text{kg}", r"\text{kg m}/\text{s}"),  # a stroke holds for one unit
    ],
)
def test_one_unit_has_many_names(ours: str, theirs: str) -> None:
    assert unit(ours) == unit(theirs) is not None


def test_units_are_products_of_base_units_with_an_exact_factor() -> None:
    assert unit("km") == Unit(Fraction(1000), (("meter", 1),))
    assert unit("km/h") == Unit(Fraction(5, 18), (("meter", 1), ("second", -1)))
    assert unit("cents") == Unit(Fraction(1, 100), MONEY.powers)
    assert unit("degrees") == DEGREE
    assert unit("units") == PLAIN
    assert unit("red marbles") == Unit(Fraction(1), (("marble", 1),))
    assert unit(r"\mathrm{dB}") == Unit(powers=(("decibel", 1),))  # logarithmic: a base of its own


def test_degrees_of_heat_are_not_kelvins() -> None:
    celsius, kelvin, fahrenheit = unit(r"^{\circ}C"), unit(r"\mathrm{K}"), unit(r"^{\circ}F")
    assert celsius and kelvin and fahrenheit and len({celsius.factor, kelvin.factor, fahrenheit.factor}) == 3
    assert celsius.powers == kelvin.powers == fahrenheit.powers


@pytest.mark.parametrize(
    "text", ["tenths", "squared", "or more", "not", "twenty", "per cent more", "percent", "x y z", "?"]
)
def test_words_that_make_another_number_of_it_are_no_units(text: str) -> None:
    assert unit(text) is None


def test_a_unit_is_told_from_a_variable() -> None:
    found = [[bool(is_unit_word(token)) for token in tokenise(text)] for text in ("cm", r"\text{m}", "apples", r"\$")]
    assert found == [[True]] * 4
    found = [
        [bool(is_unit_word(token)) for token in tokenise(text)] for text in ("m", "xy", "ABCD", r"\mathrm{e}", "7")
    ]
    assert found == [[False]] * 5
