"""Settings by dotted key over configurations, as words of `mentor fit`; a key may go on within a list.

    trainer.callbacks.BenchmarkValidation.words                of the callback of this class
    trainer.callbacks.BenchmarkValidation.benchmarks.*.limit    of each of its benchmarks; `.maze.`: of the one so named

`mentor fit` takes a list as one value. So the list is read from the configurations, changed, and given whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from mentor_pl.runtime.errors import UsageError

Overrides = Mapping[str, Any]  # dotted key -> value


def words(configs: Sequence[Mapping[str, Any]], overrides: Overrides) -> list[str]:
    """`--key=value` for each setting, or for the list that it is in.

    Args:
        configs: contents of the configurations, the last one wins.
        overrides: in their order.

    Raises:
        UsageError: for a key into a list that has no such item.
    """
    merged, given = _merged(configs), dict[str, Any]()
    for key, value in overrides.items():
        prefix, changed = _set(merged, key.split("."), value, key)
        given.pop(prefix, None)  # a later word wins
        given[prefix] = changed
    return [f"--{key}={value if isinstance(value, str) else _plain(value)}" for key, value in given.items()]


def configuration(configs: Sequence[Mapping[str, Any]], overrides: Overrides) -> dict[str, Any]:
    """What `mentor fit` makes of the same: all settings that are given, without defaults."""
    merged = _merged(configs)
    for key, value in overrides.items():
        _set(merged, key.split("."), value, key)
    return merged


def _merged(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for config in configs:
        _merge(merged, config)
    trainer = merged["trainer"] = merged.get("trainer") or {}
    callbacks = trainer.get("callbacks") or []  # one alone may stand without its list
    trainer["callbacks"] = callbacks if isinstance(callbacks, list) else [callbacks]
    return merged


def _merge(settings: dict[str, Any], later: Mapping[str, Any]) -> None:
    """As `--config` does: mappings merge, unless they are of another class; `name+` appends; all else replaces."""
    for name, value in later.items():
        before = settings.get(name)
        if name.endswith("+"):
            old = settings.get(name[:-1])
            settings[name[:-1]] = [
                one for some in (old, value) if some for one in (some if isinstance(some, list) else [some])
            ]
        elif isinstance(value, dict) and isinstance(before, dict) and _same_class(before, value):
            _merge(before, value)
        else:
            settings[name] = deepcopy(value)


def _same_class(before: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return bool(value.get("class_path", before.get("class_path")) == before.get("class_path"))


def _set(within: dict[str, Any], parts: Sequence[str], value: Any, key: str) -> tuple[str, Any]:
    """Set it; say up to where the key leads without a list on the way, and what is there now."""
    name, *rest = parts
    if "class_path" in within and name not in ("class_path", "init_args"):
        within["init_args"] = within.get("init_args") or {}
        return _set(within["init_args"], parts, value, key)
    if not rest:
        within[name] = deepcopy(value)
        return name, within[name]
    inner = within.get(name)
    if not isinstance(inner, list):
        inner = within[name] = inner if isinstance(inner, dict) else {}
        prefix, changed = _set(inner, rest, value, key)
        return f"{name}.{prefix}", changed
    wanted, *rest = rest
    chosen = [item for item in inner if isinstance(item, dict) and wanted in ("*", *_names(item))]
    if not chosen or not rest:
        there = ", ".join(names[0] for item in inner if isinstance(item, dict) and (names := _names(item)))
        where = key[: key.index(f".{wanted}")]
        raise UsageError(f"{key} goes into a list, but {where} has {there or 'no item'}: name one, and a setting of it")
    for item in chosen:
        _set(item, rest, value, key)
    return name, inner


def _names(item: Mapping[str, Any]) -> list[str]:
    """What an item of a list may be called: its name, its class."""
    named = item.get("name") or (item.get("init_args") or {}).get("name")
    return [str(one) for one in (named, str(item.get("class_path", "")).rpartition(".")[2]) if one]


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
