"""Plain settings from YAML as frozen dataclasses, checked against their type hints; a mistake is one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

import yaml

from mentor_pl.runtime.errors import UsageError

T = TypeVar("T")
_NAMES = {str: "a text", int: "an integer", float: "a number", bool: "true or false", type(None): "null"}


class _UniqueKeys(yaml.SafeLoader):
    """A loader for which a key given twice is a mistake: the first of two would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for place, (key, _) in enumerate(node.value):
            if key.value in keys[:place]:
                line = key.start_mark.line + 1
                raise UsageError(f"{self.name}:{line}: {key.value} is given twice: leave one of them out")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds.

    Raises:
        UsageError: for a file that cannot be read, is no YAML, holds no mapping or a key twice.
    """
    try:
        with path.open(encoding="utf-8") as file:
            loaded = yaml.load(file, _UniqueKeys)  # a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{path} cannot be read ({reason}): give a YAML file") from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}: mend it") from error
    if not isinstance(loaded, dict):
        raise UsageError(f"{path} holds {_shown(loaded)}, but settings are pairs of key and value: give some")
    return loaded


def typed(kind: type[T], value: Any, key: str = "") -> T:
    """The value as its type hint wants it.

    Args:
        kind: a frozen dataclass, `tuple[X, ...]`, `Mapping[str, X]`, a union, a Literal, `Any` or a plain type.
        value: from YAML.
        key: of the value, dotted.

    Raises:
        UsageError: where it does not fit, with key, value, rule and what would do.
    """
    hint: Any = kind
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any:
        return cast(T, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise UsageError(f"{key} is {_shown(value)}, but is a list: give [{_shown(value)}]")
        return cast(T, tuple(typed(inner[0], one, f"{key}[{place}]") for place, one in enumerate(value)))
    if origin is Mapping:
        if not isinstance(value, dict):
            raise UsageError(f"{key} is {_shown(value)}, but holds pairs of name and value: write `name: …` below it")
        return cast(T, {str(name): typed(inner[1], one, f"{key}.{name}") for name, one in value.items()})
    if origin is Literal:
        if value not in inner:
            raise UsageError(f"{key} is {_shown(value)}: give {' or '.join(map(str, inner))}{_near(value, inner)}")
        return cast(T, value)
    if isinstance(hint, UnionType) and value is None and type(None) in inner:
        return cast(T, None)
    plain = next(one for one in inner if one is not type(None)) if isinstance(hint, UnionType) else hint
    if is_dataclass(plain):
        return cast(T, _dataclass(plain, value, key))
    fits = isinstance(value, (int, float) if plain is float else plain) and not (
        isinstance(value, bool) and plain is not bool
    )
    if not fits:
        raise UsageError(f"{key} is {_shown(value)}: give {_NAMES.get(plain, plain.__name__)}")
    return cast(T, float(value) if plain is float else value)


def _dataclass(kind: Any, value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise UsageError(f"{key} is {_shown(value)}, but has settings: {', '.join(f.name for f in fields(kind))}")
    hints, known = get_type_hints(kind), {field.name: field for field in fields(kind) if field.init}
    prefix = f"{key}." if key else ""
    for name in value:
        if name not in known:
            there = ", ".join(known)
            raise UsageError(f"{prefix}{name}: no such setting{_near(name, known)}; there is {there}")
    for name, field in known.items():
        if name not in value and field.default is MISSING and field.default_factory is MISSING:
            raise UsageError(f"{prefix}{name} is not set, and has no default: give {_wanted(hints[name])}")
    return kind(**{name: typed(hints[name], one, prefix + name) for name, one in value.items()})


def _wanted(hint: Any) -> str:
    if is_dataclass(hint):
        return "its settings: " + ", ".join(field.name for field in fields(hint))
    origin = get_origin(hint)
    return _NAMES.get(hint) or ("a list" if origin is tuple else "pairs of name and value")


def _near(value: Any, known: Any) -> str:
    near = difflib.get_close_matches(str(value), list(map(str, known)), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "…"
