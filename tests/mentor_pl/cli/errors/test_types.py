"""Why a value does not fit a type hint: the innermost place, in a user's words."""

from __future__ import annotations

import enum
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from mentor_pl.cli.errors.types import describe, forbidden_nulls, mismatch, settings, show


class Colour(enum.Enum):
    RED = 1


@dataclass
class Size:
    width: int
    depth: float | None = None


class Base:
    def __init__(self, a: int, b: str = "x") -> None: ...


class Derived(Base):
    def __init__(self, size: Size, c: float = 1.0, **kwargs: Any) -> None: ...


class Closed(Base):
    def __init__(self, c: float) -> None: ...


def test_settings_are_the_parameters_those_behind_kwargs_included() -> None:
    assert {name: setting.default for name, setting in settings(Derived).items()} == {
        "size": inspect.Parameter.empty,
        "c": 1.0,
        "a": inspect.Parameter.empty,
        "b": "x",
    }
    assert list(settings(Closed)) == ["c"]
    assert settings(Derived)["a"].hint is int


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (int, 3),
        (float, "1e-3"),
        (float, 2),
        (str, "x"),
        (Path, "x"),
        (bool, True),
        (int | None, None),
        (Literal["a"], "a"),
        (Colour, "RED"),
        (list[int], [1, 2]),
        (tuple[int, ...], [1, 2, 3]),
        (dict[str, int], {"a": 1}),
        (Size, {"width": 1, "depth": None}),
        (Any, b"x"),
        (int, "${other}"),
    ],
    ids=str,
)
def test_what_fits_is_no_mismatch(hint: Any, value: Any) -> None:
    assert mismatch(hint, value, ("x",)) is None


@pytest.mark.parametrize(
    ("hint", "value", "path", "reason"),
    [
        (int, True, (), "expected an integer, got true"),
        (float, "x", (), "expected a number, got 'x'"),
        (int, None, (), "null is not allowed here; expected an integer"),
        (int | str, None, (), "null is not allowed here; expected an integer or a text"),
        (Literal["a", "b"], "c", (), "expected one of a, b, got 'c'"),
        (list[int], [1, "x"], (1,), "expected an integer, got 'x'"),
        (tuple[int, float], [1], (), "expected a list of 2 values (an integer, a number), got [1]"),
        (dict[str, list[int]], {"a": [True]}, ("a", 0), "expected an integer, got true"),
        (Size, {"width": "x"}, ("width",), "expected an integer, got 'x'"),
        (Size, {"widht": 1}, ("widht",), "Size has no setting 'widht'; did you mean 'width'? Accepted: width, depth"),
        (list[Size] | Size, [{"width": 1}, {"width": []}], (1, "width"), "expected an integer, got []"),
    ],
    ids=str,
)
def test_the_innermost_place_is_named(hint: Any, value: Any, path: tuple[Any, ...], reason: str) -> None:
    found = mismatch(hint, value, ("x",))
    assert found is not None
    assert (found.path, found.reason) == (("x", *path), reason)


def test_every_null_that_may_not_be_is_found_and_one_that_is_the_default_is_not() -> None:
    value = {"size": {"width": None, "depth": None}, "c": None, "b": "x"}
    found = list(forbidden_nulls(Derived, value, ("x",)))
    assert [one.path for one in found] == [("x", "size", "width"), ("x", "c")]
    assert found[0].reason == "null is not allowed here; expected an integer"


@pytest.mark.parametrize(
    ("hint", "words"),
    [
        (Colour, "one of RED"),
        (list, "a list"),
        (list[int] | None, "a list (each an integer) or null"),
        (dict[str, int], "settings (key: value)"),
        (Literal["a"] | bool, "one of a or true or false"),
    ],
    ids=str,
)
def test_a_hint_in_a_users_words(hint: Any, words: str) -> None:
    assert describe(hint) == words


def test_a_value_is_shown_as_it_would_be_written_and_cut() -> None:
    assert (show(None), show(True), show("x"), show([1])) == ("null", "true", "'x'", "[1]")
    assert len(show("x" * 200)) == 80
