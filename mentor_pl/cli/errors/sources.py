"""What the user gave and where: config files and overrides, in their order, with line numbers.

jsonargparse reads the same files again to decide what holds. This reading is for the messages, and it refuses early
what could not work in any case: a missing or unreadable file, malformed YAML, a key given twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mentor_pl.cli.errors.types import Keys
from mentor_pl.runtime.errors import UsageError

_MOST_VALUES = 100_000  # of a configuration, aliases written out


@dataclass(frozen=True)
class Source:
    """One config file, or one override of the command line."""

    name: str  # the file's name, or the option as typed
    settings: Any  # what it gives, as nested settings; `callbacks+` is `callbacks`
    node: yaml.Node | None = None  # a file's parse tree, which knows lines

    def place(self, keys: Keys) -> str:
        """`file:line` of a setting, or the option."""
        line = _line(self.node, keys) if self.node is not None else None
        return self.name if line is None else f"{self.name}:{line}"


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
            option = option.removesuffix("+")
            settings = _scalar(option, value)
            for key in reversed(option.lstrip("-").split(".")):
                settings = {key: settings}
            sources.append(Source(option, settings))
    return sources


def at(settings: Any, keys: Keys) -> Any:
    """The value under these keys; KeyError if there is none. An option may leave `init_args` out."""
    for key in keys:
        in_list = isinstance(settings, list) and isinstance(key, int) and key < len(settings)
        if in_list or (isinstance(settings, dict) and key in settings):
            settings = settings[key]
        elif key != "init_args":
            raise KeyError(key)
    return settings


def gives(source: Source, keys: Keys) -> bool:
    """Whether a source has a value under these keys."""
    try:
        at(source.settings, keys)
    except KeyError:
        return False
    return True


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
        _refuse_endless(name, node)
        value = _value(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise UsageError(f"{name}:{line}: malformed YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: malformed YAML: {error}") from None
    except RecursionError:
        raise UsageError(f"{name}: nested too deep to be read: a configuration has a dozen levels at most") from None
    if not isinstance(node, yaml.MappingNode):
        what = "is empty" if node is None else f"holds {_kind(value)}"
        raise UsageError(f"{name}: {what}, but a configuration is settings (key: value)")
    _refuse_duplicates(name, node)
    return Source(name, _plain(value), node)


def _refuse_endless(name: str, node: yaml.Node | None) -> None:
    """An anchor within itself has no end, and a few of several aliases each have more values than memory holds."""
    todo, count = [node], 0
    while todo:
        one, count = todo.pop(), count + 1
        if count > _MOST_VALUES:
            raise UsageError(
                f"{name}: an anchor (&) lies within itself, or aliases (*) make more than {_MOST_VALUES:,} values: "
                "write out what they stand for"
            )
        if isinstance(one, yaml.MappingNode):
            todo += [part for pair in one.value for part in pair]
        elif isinstance(one, yaml.SequenceNode):
            todo += one.value


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


def _line(node: yaml.Node, keys: Keys) -> int | None:
    """The line of the innermost of these keys that the file has."""
    line = None
    for key in keys:
        if isinstance(node, yaml.MappingNode):
            entry = next(((k, v) for k, v in node.value if k.value.removesuffix("+") == key), None)
            if entry is not None:
                line, node = entry[0].start_mark.line + 1, entry[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
    return line


def _plain(value: Any) -> Any:
    """Settings with `callbacks+` as `callbacks`."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return {str(k).removesuffix("+"): _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _value(node: yaml.Node | None) -> Any:
    if node is None:
        return None
    loader = yaml.SafeLoader("")
    return loader.construct_document(node)


def _scalar(option: str, text: str) -> Any:
    try:
        _refuse_endless(option, yaml.compose(text, Loader=yaml.SafeLoader))
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
    except RecursionError:
        raise UsageError(f"{option}: nested too deep to be read: a setting has a dozen levels at most") from None


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else f"only {value!r:.40}"
