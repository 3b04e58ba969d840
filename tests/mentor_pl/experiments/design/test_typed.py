from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from mentor_pl.experiments.design.typed import read_yaml, typed
from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class Part:
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    by_name: Mapping[str, int] = field(default_factory=dict)
    kind: Literal["big", "small"] = "big"
    note: str | None = None
    spare: Part | None = None
    rest: Any = None
    on: bool = False


def test_plain_values_become_what_the_hints_say():
    given = {"parts": [{"name": "a", "weight": 2}], "by_name": {1: 3}, "kind": "small", "note": None}
    given |= {"spare": {"name": "b"}, "rest": [1, {}]}
    assert typed(Whole, given) == Whole((Part("a", 2.0),), {"1": 3}, "small", None, Part("b"), [1, {}])
    assert isinstance(typed(Whole, given).parts[0].weight, float)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (
            {"part": []},
            "part: no such setting; did you mean parts?; there is parts, by_name, kind, note, spare, rest, on",
        ),
        ({}, "parts is not set, and has no default: give a list"),
        ({"parts": [{"weight": 1}]}, "parts[0].name is not set, and has no default: give a text"),
        ({"parts": {}}, "parts is {}, but is a list: give [{}]"),
        ({"parts": ["a"]}, "parts[0] is 'a', but has settings: name, weight"),
        ({"parts": [], "by_name": {"x": "1"}}, "by_name.x is '1': give an integer"),
        ({"parts": [], "by_name": {"x": True}}, "by_name.x is True: give an integer"),
        ({"parts": [], "by_name": 3}, "by_name is 3, but holds pairs of name and value: write `name: …` below it"),
        ({"parts": [], "kind": "smal"}, "kind is 'smal': give big or small; did you mean small?"),
        ({"parts": [], "note": 3}, "note is 3: give a text"),
        ({"parts": [], "on": 1}, "on is 1: give true or false"),
        ({"parts": [{"name": "a", "weight": "1"}]}, "parts[0].weight is '1': give a number"),
    ],
)
def test_a_mistake_is_one_line_with_key_value_and_remedy(given, line):
    with pytest.raises(UsageError) as caught:
        typed(Whole, given)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: {c: 1, c: 2}\n", "2: c is given twice"),
        ("a: [\n", "is no YAML"),
        ("- 1\n", "settings are pairs"),
        ("", "holds nothing"),
    ],
)
def test_a_file_that_holds_no_settings_is_refused_in_one_line(text, words, tmp_path):
    file = tmp_path / "d.yaml"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_yaml(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none\.yaml cannot be read \(No such file or directory\)"):
        read_yaml(tmp_path / "none.yaml")
