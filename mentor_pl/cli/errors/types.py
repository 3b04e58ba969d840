"""Why a value does not fit a type hint, in words for whoever wrote the value.

Nothing here decides what is accepted: jsonargparse does. Once it has refused, `mismatch` walks the value beside the
hint and names the innermost place where they part, what was expected there and the nearest names.

A path is a tuple of keys and list indices, `("trainer", "callbacks", 0, "init_args", "monitor")`.
"""

from __future__ import annotations

import collections.abc as abc
import enum
import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from mentor_pl.cli.errors.names import (
    Unimportable,
    among,
    implementers,
    import_class,
    is_interface,
    shortfall,
)

Keys = tuple[str | int, ...]


class Setting(NamedTuple):
    """One parameter of a class or function."""

    hint: Any
    default: Any  # inspect.Parameter.empty where a value is required


@dataclass(frozen=True)
class Mismatch:
    """Where a value and its hint part, and what to say about it."""

    path: Keys
    reason: str


def settings(target: Callable[..., Any]) -> dict[str, Setting]:
    """Parameters of a class or function by name, those that its **kwargs pass on to base classes included."""
    functions = [target]
    if isinstance(target, type):
        functions = [vars(base)["__init__"] for base in target.__mro__[:-1] if "__init__" in vars(base)]
    found: dict[str, Setting] = {}
    for function in functions:
        try:
            parameters = inspect.signature(function).parameters.values()
            hints = typing.get_type_hints(function)
        except (NameError, TypeError, ValueError):
            parameters, hints = inspect.signature(function).parameters.values(), {}
        for p in parameters:
            if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                found.setdefault(p.name, Setting(hints.get(p.name, Any), p.default))
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return found


def mismatch(hint: Any, value: Any, path: Keys) -> Mismatch | None:
    """The innermost place where `value` does not fit `hint`; None where nothing is seen to be wrong."""
    if hint is Any or isinstance(hint, typing.TypeVar) or (isinstance(value, str) and "${" in value):
        return None
    if value is None:
        return None if _allows_null(hint) else Mismatch(path, _null(hint))
    plain = Mismatch(path, f"expected {describe(hint)}, got {show(value)}")
    if _is_union(hint):
        found = [mismatch(option, value, path) for option in get_args(hint)]
        if any(m is None for m in found):
            return None
        told = [m for m in found if m is not None and not m.reason.startswith("expected")]
        deeper = [m for m in found if m is not None and len(m.path) > len(path)]
        return max(told or deeper or [plain], key=lambda m: len(m.path))
    if isinstance(hint, type) and issubclass(hint, (bool, int, float, str, Path, types.NoneType, enum.Enum)):
        return None if _is_scalar(hint, value) else plain
    origin = get_origin(hint) or hint
    if origin is Literal:
        return None if value in get_args(hint) else plain
    if origin is abc.Callable:
        returned = get_args(hint)[1] if get_args(hint) else object
        return _class_mismatch(returned if isinstance(returned, type) else object, value, path, called=True)
    if isinstance(origin, type) and issubclass(origin, abc.Mapping):
        return _each(value.items(), [get_args(hint)[1:2] or (Any,)], path) if isinstance(value, dict) else plain
    if isinstance(origin, type) and issubclass(origin, abc.Iterable) and origin.__module__ in _COLLECTION_MODULES:
        return _list_mismatch(hint, value, path) if isinstance(value, (list, tuple)) else plain
    return _class_mismatch(origin, value, path) if isinstance(origin, type) else None


def forbidden_nulls(hint: Any, value: Any, path: Keys) -> Iterator[Mismatch]:
    """Every null where the hint has no place for one. jsonargparse lets those through."""
    for name, setting, given in _inner(hint, value):
        where = (*path, *name)
        if given is None and setting.default is not None and not _allows_null(setting.hint):
            yield Mismatch(where, _null(setting.hint))
        yield from forbidden_nulls(setting.hint, given, where)


def _null(hint: Any) -> str:
    return f"null is not allowed here; expected {describe(hint)}"


def describe(hint: Any) -> str:
    """A type hint in a user's words."""
    origin = get_origin(hint) or hint
    if _is_union(hint):
        options, choices = [o for o in get_args(hint) if get_origin(o) is not Literal], _choices(hint)
        return " or ".join(dict.fromkeys([*([_one_of(choices)] if choices else []), *map(describe, options)]))
    if origin is Literal:
        return _one_of(get_args(hint))
    if hint in _WORDS:
        return _WORDS[hint]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _one_of([member.name for member in hint])
    if origin is tuple:
        inner = [a for a in get_args(hint) if a is not Ellipsis]
        return f"a list of {len(inner)} values ({', '.join(map(describe, inner))})" if inner else "a list"
    if isinstance(origin, type) and issubclass(origin, abc.Mapping):
        return "settings (key: value)"
    if isinstance(origin, type) and issubclass(origin, abc.Iterable) and origin.__module__ in _COLLECTION_MODULES:
        item = (*get_args(hint), Any)[0]
        return "a list" if item is Any else f"a list (each {describe(item)})"
    if origin is abc.Callable or origin is object:
        return "a class_path"
    if isinstance(hint, type) and not is_interface(hint) and hint.__module__.split(".")[0] == "mentor_pl":
        return f"settings of {hint.__name__} ({', '.join(settings(hint))})"
    return f"the class_path of a {getattr(origin, '__name__', origin)}"


def show(value: Any) -> str:
    """A value as the user would write it, shortened."""
    text = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "an integer",
    float: "a number",
    str: "a text",
    Path: "a path",
    None: "null",
    type(None): "null",
}
_COLLECTION_MODULES = ("builtins", "collections.abc", "typing")


def _one_of(choices: Iterable[Any]) -> str:
    return "one of " + ", ".join(dict.fromkeys(map(str, choices)))


def _choices(hint: Any) -> list[Any]:
    """What the Literals of a union allow."""
    return [choice for option in get_args(hint) if get_origin(option) is Literal for choice in get_args(option)]


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _allows_null(hint: Any) -> bool:
    return hint in (Any, None, type(None)) or (_is_union(hint) and any(map(_allows_null, get_args(hint))))


def _is_scalar(hint: type, value: Any) -> bool:
    if issubclass(hint, enum.Enum):
        return isinstance(value, str) and value in hint.__members__
    if hint is bool:
        return isinstance(value, bool)
    if hint is float:
        try:  # YAML reads 1e-3 as a text, and so it does nan and inf, which it writes with a dot
            return not isinstance(value, bool) and not (isinstance(value, str) and not math.isfinite(float(value)))
        except (TypeError, ValueError):
            return False
    if issubclass(hint, int):
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str) and hint is not type(None)


def _list_mismatch(hint: Any, value: list[Any] | tuple[Any, ...], path: Keys) -> Mismatch | None:
    inner = get_args(hint)
    if get_origin(hint) is tuple and Ellipsis not in inner:
        if len(inner) != len(value):
            return Mismatch(path, f"expected {describe(hint)}, got {show(value)}")
        return _each(enumerate(value), [(i,) for i in inner], path)
    return _each(enumerate(value), [inner[:1] or (Any,)], path)


def _each(items: Any, hints: list[tuple[Any, ...]], path: Keys) -> Mismatch | None:
    """The first mismatch among items; the last hint serves all that follow."""
    for i, (key, value) in enumerate(items):
        if found := mismatch(hints[min(i, len(hints) - 1)][0], value, (*path, key)):
            return found
    return None


def _class_mismatch(base: type, value: Any, path: Keys, *, called: bool = False) -> Mismatch | None:
    """`called`: the class is only called later, with arguments that the configuration does not give."""
    spec = {"class_path": value} if isinstance(value, str) else value
    if not isinstance(spec, dict):
        return Mismatch(path, f"expected {describe(base)}, got {show(value)}")
    if "class_path" not in spec:
        if called:
            return None  # the default says which class; jsonargparse has merged it in
        if is_interface(base):
            return Mismatch(path, f"say which {base.__name__} with a class_path{implementers(base)}")
        return _arguments_mismatch(base, spec, path)
    where = path if isinstance(value, str) else (*path, "class_path")
    try:
        target = import_class(str(spec["class_path"]), base)
    except Unimportable as error:
        return Mismatch(where, str(error))
    if lacking := shortfall(target, base):
        return Mismatch(where, f"{spec['class_path']} is not a {base.__name__}: {lacking}{implementers(base)}")
    extra = [key for key in spec if key not in ("class_path", "init_args", "dict_kwargs")]
    if extra:
        return Mismatch((*path, extra[0]), f"put '{extra[0]}' under init_args, beside class_path")
    arguments = spec.get("init_args") or {}
    if not isinstance(arguments, dict):
        return Mismatch((*path, "init_args"), f"expected settings (key: value), got {show(arguments)}")
    return _arguments_mismatch(target, arguments, (*path, "init_args"), called=called)


def _arguments_mismatch(
    target: Callable[..., Any], given: dict[str, Any], path: Keys, *, called: bool = False
) -> Mismatch | None:
    known = settings(target)
    if called:  # with what it will be called with, such as an optimizer's parameters
        known = dict(list(known.items())[1:])
    for name, value in given.items():
        if name not in known:
            return Mismatch((*path, name), f"{target.__name__} has no setting '{name}'; {among(name, known)}")
        if found := mismatch(known[name].hint, value, (*path, name)):
            return found
    return None


def _inner(hint: Any, value: Any) -> Iterator[tuple[Keys, Setting, Any]]:
    """Settings that lie inside `value`, with what was given for each."""
    for option in get_args(hint) if _is_union(hint) else [hint]:
        origin = get_origin(option) or option
        if isinstance(value, list) and get_args(option):
            yield from (((i,), Setting(get_args(option)[0], ...), item) for i, item in enumerate(value))
        elif isinstance(value, dict) and isinstance(origin, type) and not issubclass(origin, abc.Mapping):
            target: Callable[..., Any] = origin
            given: Any = value
            prefix: Keys = ()
            if "class_path" in value:
                try:
                    target = import_class(str(value["class_path"]), origin)
                except Unimportable:
                    continue
                given, prefix = value.get("init_args") or {}, ("init_args",)
            known = settings(target) if isinstance(given, dict) else {}
            yield from (((*prefix, n), known[n], v) for n, v in given.items() if n in known)
