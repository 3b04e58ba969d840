"""An object as the class_path and init_args that make it, for files that say how something was made.

    spec_of(MathReward(units="require"))  ->  {"class_path": "mentor_pl.rewards.math.MathReward", "init_args": {…}}

An argument is taken from the attribute of its name, of the object itself or of a dataclass that it holds; one that is
kept nowhere is left out, and is its default when the object is made again.
"""

from __future__ import annotations

import inspect
from dataclasses import fields, is_dataclass
from importlib import import_module
from typing import Any

from mentor_pl.runtime.errors import UsageError


def spec_of(thing: object) -> dict[str, Any]:
    """The class_path and init_args of an object, as JSON can carry them."""
    kept = dict(vars(thing))
    for held in list(kept.values()):
        if is_dataclass(held) and not isinstance(held, type):
            kept = {f.name: getattr(held, f.name) for f in fields(held)} | kept
    names = list(inspect.signature(type(thing)).parameters)
    arguments = {name: _plain(kept[name]) for name in names if name in kept and _plain(kept[name]) is not None}
    return {"class_path": f"{type(thing).__module__}.{type(thing).__qualname__}", "init_args": arguments}


def _plain(value: Any) -> Any:
    """A value as JSON has it, objects as specs; None for what is neither."""
    if isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list | tuple):
        items = [_plain(item) for item in value]
        return None if any(item is None for item in items) else items
    own = type(value).__module__ not in ("builtins", "collections") and hasattr(value, "__dict__")
    return spec_of(value) if own else None


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
    return build(value, base) if isinstance(value, dict) else value
