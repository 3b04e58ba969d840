"""What the user gave and where: config files and overrides, in their order, with line numbers.

jsonargparse reads the same files again to decide what holds. This reading is for the messages, and it refuses early
what could not work in any case: a missing or unreadable file, malformed YAML, a key given twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mentor_pl.runtime.errors import UsageError

Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Source:
    """One config file, or one override of the command line."""

    name: str  # the file's name, or the option as typed
    keys: Keys  # where in the settings the value goes; empty for a file
    value: Any
    node: yaml.Node | None = None  # a file's parse tree, which knows lines


def read_sources(args: Sequence[str]) -> list[Source]:
    """The config files and overrides among command-line arguments. Raises UsageError for a file that cannot be read."""
    sources: list[Source] = []
    rest = list(args)
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if not option.startswith("-"):
            continue
        if not equals:
            if not rest or rest[0].startswith("--"):
                continue
            value = rest.pop(0)
        if option in ("--config", "-c"):
            if source := _read_file(value):
                sources.append(source)
        else:
            sources.append(Source(option.removesuffix("+"), tuple(option.lstrip("-").split(".")), _scalar(value)))
    return sources


def given(sources: Sequence[Source]) -> dict[str, Any]:
    """All sources merged, later ones over earlier ones, as jsonargparse would: the settings as the user wrote them."""
    merged: dict[str, Any] = {}
    for source in sources:
        value = source.value
        for key in reversed(source.keys):
            value = {key: value}
        merged = _merge(merged, value, typed=source.node is None)
    return merged


def at(settings: Any, keys: Keys) -> Any:
    """The value under these keys; KeyError if there is none."""
    for key in keys:
        in_list = isinstance(settings, list) and isinstance(key, int) and key < len(settings)
        if not in_list and not (isinstance(settings, dict) and key in settings):
            raise KeyError(key)
        settings = settings[key]
    return settings


def find(settings: Any, name: str) -> Keys | None:
    """Where a key of this name lies, at whatever depth; None where there are several or none."""
    places = list(_places(settings, name))
    return places[0] if len(places) == 1 else None


def _places(settings: Any, name: str, prefix: Keys = ()) -> Iterator[Keys]:
    pairs: Iterable[tuple[Any, Any]] = ()
    if isinstance(settings, (dict, list)):
        pairs = settings.items() if isinstance(settings, dict) else enumerate(settings)
    for key, value in pairs:
        if key == name:
            yield (*prefix, key)
        yield from _places(value, name, (*prefix, key))


def locate(sources: Sequence[Source], keys: Keys, value: Any) -> str:
    """`file:line` or `--option` of the last source that gives `value` under `keys`; empty if none does."""
    typed = tuple(key for key in keys if key != "init_args")
    for source in reversed(sources):
        if source.node is None:
            if typed[: len(source.keys)] == source.keys or source.keys[: len(typed)] == typed:
                return source.name
        elif (line := _line(source.node, keys, value)) is not None:
            return f"{source.name}:{line}"
    return ""


def _read_file(name: str) -> Source | None:
    path = Path(name).expanduser()
    if "://" in name:
        return None  # a remote file: jsonargparse reads it
    if name.lstrip().startswith(("{", "[")) and not path.exists():
        return _read_yaml("--config", name)
    if not path.exists():
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        folder = f"; {path.parent}/ has {', '.join(near[:8])}" if near else ""
        raise UsageError(f"--config {name}: no such file{folder}")
    if not path.is_file():
        raise UsageError(f"--config {name}: a folder, not a YAML file")
    try:
        return _read_yaml(name, path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{name}: cannot be read: {error}") from None


def _read_yaml(name: str, text: str) -> Source:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = _value(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise UsageError(f"{name}:{line}: malformed YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: malformed YAML: {error}") from None
    if not isinstance(node, yaml.MappingNode):
        what = "is empty" if node is None else f"holds {_kind(value)}"
        raise UsageError(f"{name}: {what}, but a configuration is settings (key: value)")
    _refuse_duplicates(name, node)
    return Source(name, (), value, node)


def _refuse_duplicates(name: str, node: yaml.Node) -> None:
    """YAML would let the second of two equal keys win without a word."""
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, child in node.value:
            line = key.start_mark.line + 1
            if key.value in lines and key.value != "<<":
                raise UsageError(f"{name}:{line}: '{key.value}' is given twice, first in line {lines[key.value]}")
            lines[key.value] = line
            _refuse_duplicates(name, child)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            _refuse_duplicates(name, child)


def _merge(old: Any, new: Any, *, typed: bool) -> Any:
    """`typed` on the command line, `--model.gate.p` means `--model.gate.init_args.p`."""
    if not isinstance(new, dict):
        return new
    if typed and isinstance(old, list) and old:  # an option reaches into the last item of a list
        return [*old[:-1], _merge(old[-1], new, typed=typed)]
    if isinstance(old, str):
        old = {"class_path": old}
    merged = dict(old) if isinstance(old, dict) else {}
    if "class_path" in merged and merged["class_path"] != new.get("class_path", merged["class_path"]):
        merged = {}
    for key, value in new.items():
        if isinstance(key, str) and key.endswith("+"):
            before = merged.get(key[:-1]) or []
            items = value if isinstance(value, list) else [value]
            merged[key[:-1]] = [*(before if isinstance(before, list) else [before]), *items]
        elif typed and "class_path" in merged and key not in ("class_path", "init_args", "dict_kwargs"):
            merged["init_args"] = _merge(merged.get("init_args"), {key: value}, typed=typed)
        else:
            merged[key] = _merge(merged.get(key), value, typed=typed)
    return merged


def _line(node: yaml.Node, keys: Keys, value: Any) -> int | None:
    """The line of the key that holds `value` under these keys. A list that appends is searched for the item."""
    line = 1
    for i, key in enumerate(keys):
        if isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value.removesuffix("+") == str(key)), None)
            if entry is None:
                return None
            line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int):
            lines = (_line(item, keys[i + 1 :], value) for item in node.value)
            return next((n if len(keys) > i + 1 else None for n in lines if n is not None), None) or line
        else:
            return None
    return line if _value(node) == value else None


def _value(node: yaml.Node | None) -> Any:
    if node is None:
        return None
    loader = yaml.SafeLoader("")
    return loader.construct_document(node)


def _scalar(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"only {value!r:.40}"
