"""What stands behind a number."""

from __future__ import annotations

import pytest

from mentor_pl.rewards.answers.units import currency_clash, degrees_to_radians, split_unit, units_clash


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        (r"15 \text{ cm}", "15", "cm"),
        ("15 cm", "15", "cm"),
        ("3 square feet", "3", "square feet"),
        ("60 km/h", "60", "km/h"),
        (r"12 \text{ cm}^2", "12", "cm^2"),
        ("7th", "7", ""),
        ("12x", "12x", ""),  # a variable
        ("12xy", "12xy", ""),
        ("15", "15", ""),
        (r"3 \text{ or } 4", r"3 \text{ or } 4", ""),
    ],
)
def test_a_unit_is_told_from_a_variable(text: str, value: str, unit: str) -> None:
    found, behind = split_unit(text)
    assert (found, behind.replace("}", "").strip()) == (value, unit)


@pytest.mark.parametrize(
    ("ours", "theirs", "clash"),
    [
        ("cm", "m", True),
        ("cm", "centimeters", False),
        ("cm^2", "cm^3", True),
        ("cm^2", "cm", False),
        ("", "cm", False),
        ("apples", "pears", False),  # no known measures
        ("dollars", "cents", True),
    ],
)
def test_known_measures_that_differ_clash(ours: str, theirs: str, clash: bool) -> None:
    assert units_clash(ours, theirs) is clash


def test_dollars_are_neither_cents_nor_per_cent() -> None:
    assert currency_clash(r"\$5", "5 cents")
    assert currency_clash(r"\$5", r"5\%")
    assert not currency_clash(r"\$5", "5")
    assert not currency_clash("5", "5 cents")


def test_degrees_meet_multiples_of_pi_in_radians() -> None:
    assert degrees_to_radians(r"90^{\circ}", r"\frac{\pi}{2}") == (r"(\frac{90 \pi}{180})", r"\frac{\pi}{2}")
    assert degrees_to_radians(r"90^{\circ}", "90") == ("90", "90")
    assert degrees_to_radians(r"\sin 30^{\circ}", "x") == (r"\sin (\frac{30 \pi}{180})", "x")
