"""What an object was made with, kept from the moment it is made, for files that say how something was made.

    reward = make(CodeReward, allow_execution=True)
    spec_of(reward)  ->  {"class_path": "mentor_pl.rewards.code.CodeReward", "init_args": {"allow_execution": True, …}}
    build(spec_of(reward), Reward)  ->  the same again

The command line makes every reward of a configuration by `make`. Arguments are those of the call, defaults filled in,
whatever the constructor does with them. What is not known, or no file can hold, is refused and never left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

from mentor_pl.rewards.base import Reward
from mentor_pl.runtime.errors import UsageError

T = TypeVar("T")
_MADE_WITH = "_made_with"  # attribute: the import path of what was called, and its arguments by name


def make(class_type: type[T], *args: Any, **kwargs: Any) -> T:
    """`class_type(*args, **kwargs)`, which remembers what it was made with."""
    thing = class_type(*args, **kwargs)
    bound = inspect.signature(class_type).bind(*args, **kwargs)
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        style = bound.signature.parameters[name].kind
        if style is inspect.Parameter.VAR_KEYWORD:
            arguments |= value
        elif style in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            arguments[name] = value
        elif value != ():
            arguments[f"*{name}"] = value
    vars(thing)[_MADE_WITH] = _path(class_type), arguments
    return thing


def spec_of(thing: object) -> dict[str, Any]:
    """The class_path and all init_args of an object, as JSON can carry them.

    Raises:
        UsageError: for an object with arguments that `make` did not make, and for an argument that JSON has no form of.
    """
    path, arguments = getattr(thing, _MADE_WITH, (_path(type(thing)), None))
    if arguments is None and inspect.signature(type(thing)).parameters:
        raise UsageError(
            f"{path}: what it was made with is not known: name it in a configuration, or make it by "
            f"mentor_pl.evaluation.class_spec.make({type(thing).__name__}, …)"
        )
    init_args = {name: _plain(value, f"{path}: argument {name}") for name, value in (arguments or {}).items()}
    return {"class_path": path, "init_args": init_args}


def _path(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _plain(value: Any, place: str) -> Any:
    """A value as JSON has it, rewards as specs."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Reward):
        return spec_of(value)
    if isinstance(value, list | tuple) and " *" not in place:
        return [_plain(item, place) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) and "class_path" not in value:
        return {key: _plain(item, place) for key, item in value.items()}
    raise UsageError(
        f"{place} is {value!r:.60}, which no samples file can hold: give texts, numbers, lists, mappings or rewards, "
        "by name"
    )


def build(spec: Any, base: type) -> Any:
    """The object of a spec, which must be a `base`; nothing else is called, whatever the spec names.

    Raises:
        UsageError: for a spec that names no such class or does not fit it.
    """
    try:
        module, _, name = str(spec["class_path"]).rpartition(".")
        kind = getattr(import_module(module), name)
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise TypeError(f"it is no {base.__name__}")
        return make(kind, **{name: _built(value, base) for name, value in spec["init_args"].items()})
    except UsageError:
        raise
    except Exception as problem:  # whatever importing and calling may raise
        named = spec.get("class_path") if isinstance(spec, dict) else spec
        reason = " ".join(str(problem).split())[:200]
        raise UsageError(f"{named!r} cannot be made again: {reason}: name a {base.__name__} yourself") from problem


def _built(value: Any, base: type) -> Any:
    if isinstance(value, list):
        return [_built(item, base) for item in value]
    if isinstance(value, dict):
        return build(value, base) if "class_path" in value else {k: _built(v, base) for k, v in value.items()}
    return value
