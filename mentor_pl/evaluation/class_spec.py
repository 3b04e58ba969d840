"""What a reward was made with, for files that say how something was made.

    reward = CodeReward(allow_execution=True)
    spec_of(reward)  ->  {"class_path": "mentor_pl.rewards.code.CodeReward", "init_args": {"allow_execution": True, …}}
    built_in(spec_of(MathReward()), "header.json")  ->  the same again

Arguments are those of the call, defaults filled in, whatever the constructor does with them. What is not known, or no
file can hold, is refused and never left out.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.countdown import CountdownReward
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.rewards.weighted import WeightedReward
from mentor_pl.runtime.errors import UsageError

# What a file may name. `CodeReward` runs code, so only the user names it.
BUILT_IN: Mapping[str, type[Reward]] = {
    f"{kind.__module__}.{kind.__qualname__}": kind
    for kind in (
        ChoiceReward, CountdownReward, FormatReward, MathReward, MazeReward, PaperReward, WeightedReward,
    )
}  # fmt: skip
# What of the machine a file may ask for: processes, seconds for one answer, MiB for one process.
_MOST_REWARDS = 16  # within one another, each with workers of its own
_MOST = {"workers": 64, "timeout": 60.0, "memory_mb": 4096}


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


def built_in(spec: Any, place: str) -> Reward:
    """The reward of a spec that came with data: one of this package, with arguments that fit its constructor.

    The class is looked up in a closed list, so nothing that a file says is imported; one that runs code is not in it.

    Args:
        spec: as of `spec_of`.
        place: of the spec, for messages.

    Raises:
        UsageError: for anything else.
    """
    try:
        if str(spec).count("class_path") > _MOST_REWARDS:
            raise UsageError(f"more than {_MOST_REWARDS} graders within one another")
        kind = BUILT_IN[spec["class_path"]]
        arguments = {name: _built(value, place) for name, value in dict(spec["init_args"]).items()}
        _check(kind, arguments)
        return kind(**arguments)
    except UsageError as problem:
        if str(problem).startswith(place):
            raise
        reason = str(problem)
    except KeyError:  # BUILT_IN's, or that of a spec without its parts
        named = spec.get("class_path") if isinstance(spec, dict) else spec
        reason = f"{str(named)!r:.80} is no built-in grader that a file may name"
    except Exception as problem:  # whatever odd arguments may raise
        reason = f"{spec!r:.80} does not fit: {problem!s:.100}"
    raise UsageError(f"{place}: {' '.join(reason.split())}: give --reward CLASS on the command line")


def _built(value: Any, place: str) -> Any:
    if isinstance(value, list):
        return [_built(item, place) for item in value]
    if isinstance(value, dict):
        return built_in(value, place) if "class_path" in value else {k: _built(v, place) for k, v in value.items()}
    return value


def _check(kind: type[Reward], arguments: Mapping[str, Any]) -> None:
    """That each argument is one of the constructor's, of the type that it is annotated with."""
    hints = get_type_hints(kind.__init__)
    for name, value in arguments.items():
        if name not in hints:
            raise UsageError(f"{kind.__name__} has no argument {name}")
        if not _fits(value, hints[name]):
            raise UsageError(f"{kind.__name__}: {name} is {value!r:.60}, which does not fit")
        if isinstance(value, int | float) and not abs(value) <= _MOST.get(name, math.inf):
            raise UsageError(
                f"{kind.__name__}: {name} is {value!r:.60}, above the {_MOST[name]} that a file may ask for"
            )


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return any(value is one or (isinstance(value, str) and value == one) for one in inner)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is not None:  # a list of rewards, of weights
        return isinstance(value, list) and all(_fits(item, inner[0]) for item in value)
    if hint in (float, int):
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    return value is None if hint is NoneType else isinstance(value, hint)
