"""What a reward was made with, for files that say how something was made.

    reward = CodeReward(allow_execution=True)
    spec_of(reward)  ->  {"class_path": "mentor_pl.rewards.code.CodeReward", "init_args": {"allow_execution": True, …}}
    build(spec_of(reward), Reward)  ->  the same again

Arguments are those of the call, defaults filled in, whatever the constructor does with them. What is not known, or no
file can hold, is refused and never left out.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

from mentor_pl.rewards.base import Reward
from mentor_pl.runtime.errors import UsageError


def spec_of(reward: Reward) -> dict[str, Any]:
    """The class_path and all init_args of a reward, as JSON can carry them.

    Raises:
        UsageError: for a reward whose arguments are not known, and for an argument that JSON has no form of.
    """
    path = f"{type(reward).__module__}.{type(reward).__qualname__}"
    arguments = {name: _as_json(value, f"{path}: argument {name}") for name, value in _arguments(reward, path).items()}
    return {"class_path": path, "init_args": arguments}


def _arguments(reward: Reward, path: str) -> dict[str, Any]:
    """What the constructor was called with, by name, defaults filled in; values without names as `*name`."""
    signature, made_with = inspect.signature(type(reward)), reward.made_with
    if made_with is None:
        known: set[str] = {one.name for one in fields(reward)} if is_dataclass(reward) else set()
        if not signature.parameters.keys() <= known:
            raise UsageError(f"{path}: what it was made with is not known: give it an `__init__` of its own")
        made_with = (), {name: getattr(reward, name) for name in signature.parameters}
    bound = signature.bind(*made_with[0], **made_with[1])
    bound.apply_defaults()
    arguments: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        style = signature.parameters[name].kind
        if style is inspect.Parameter.VAR_KEYWORD:
            arguments |= value
        elif style in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            arguments[name] = value
        elif value != ():
            arguments[f"*{name}"] = value
    return arguments


def _as_json(value: Any, place: str) -> Any:
    """A value as JSON has it, rewards as specs."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Reward):
        return spec_of(value)
    if isinstance(value, list | tuple) and " *" not in place:
        return [_as_json(item, place) for item in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value) and "class_path" not in value:
        return {key: _as_json(item, place) for key, item in value.items()}
    raise UsageError(
        f"{place} is {value!r:.60}, which no samples file can hold: give texts, numbers, lists, mappings or rewards, "
        "by name"
    )


def instance_of(spec: Any, base: type) -> Any:
    """The object of a spec, which must be a `base`; nothing else is called, whatever the spec names.

    Raises:
        UsageError: for a spec that names no such class or does not fit it.
    """
    try:
        module, _, name = str(spec["class_path"]).rpartition(".")
        kind = getattr(import_module(module), name)
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise TypeError(f"it is no {base.__name__}")
        return kind(**{name: _built(value, base) for name, value in spec["init_args"].items()})
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
        return instance_of(value, base) if "class_path" in value else {k: _built(v, base) for k, v in value.items()}
    return value
