"""jsonargparse's refusals, which run over many lines for unions and protocols, as one line that says what to do.

    configs/mine.yaml:4: model.n_mixx: no such setting; did you mean 'n_mix'? Accepted: policy, n_mix, lr

The line names the place, the key, the rule and the nearest names. What cannot be worked out keeps jsonargparse's words.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mentor_pl.cli.errors.names import among, is_interface
from mentor_pl.cli.errors.sources import Source, at, gives
from mentor_pl.cli.errors.types import Keys, Mismatch, Setting, describe, forbidden_nulls, mismatch, settings, show
from mentor_pl.runtime.errors import UsageError

_UNKNOWN = re.compile(r"does not accept option '([^']+)'|Option '([^']+)' is not accepted")
_REQUIRED = re.compile(r"the following arguments are required: ((?:[\w.]*\w(?:, )?)+)")
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (.+)", re.DOTALL)
_VALUELESS = re.compile(r"argument (?:-\w/)?--(\S+): expected one argument")
_KEY = re.compile(r'Parser key "([^"]+)":\s*(.*)', re.DOTALL)
_IN_CLASS = re.compile(r"Problem with given class_path '([^']+)':\s+(?:Option '|Parser key \")(\w+)")
_INTERPOLATION = re.compile(
    r"Interpolation key '([^']+)' not found(?: \(resolved to '\w+\.([^']+)'\))?\s+full_key: (\S+)"
)
_UNRESOLVED = re.compile(r"\s*(.+?)\s+full_key: (\S+)", re.DOTALL)


def explain(message: str, sources: Sequence[Source], accepted: Mapping[str, Setting]) -> str:
    """One line for a refusal. `accepted` are the settings at the top: trainer, model, data and so on."""
    group = _KEY.match(message)  # whose settings are read by a parser of their own, which knows no name for it
    prefix = f"{group[1]}." if group else ""
    if m := _UNRECOGNIZED.search(message):
        return _unrecognized(re.sub("^--", f"--{prefix}", m[1]), accepted)
    if m := _VALUELESS.search(message):
        hint, depth = _hint_at(_keys(m[1]), accepted)
        return f"--{m[1]}: a value is missing" + (f"; expected {describe(hint)}" if depth else "")
    if m := _REQUIRED.search(message):
        return _required([f"{prefix}{name.strip()}" for name in m[1].split(",")], accepted)
    if m := _INTERPOLATION.search(message):
        name, keys = m[2] or m[1].lstrip("."), _keys(m[3])
        reason = f"'${{{name}}}' refers to a setting that is not there"
        source = _giver(sources, keys)
        if source is not None and source.node is None and name.split(".")[0] in accepted:
            # references in files are put below the sub-command, those in options are not
            reason += f"; on the command line a reference is written ${{{m[3].split('.')[0]}.{name}}}"
        return _place(source, keys, reason)
    if m := _UNRESOLVED.match(message):
        keys, words = _keys(m[2]), _condensed(m[1])
        reason = (
            f"its reference cannot be resolved ({words}): write ${{GROUP.SETTING}} of one that is plain, or its value"
        )
        return _place(_giver(sources, keys), keys, reason)
    if m := _KEY.search(message):
        keys, classes = _keys(m[1]), list(dict.fromkeys(_IN_CLASS.findall(message)))
        found = list(_mismatches(keys, sources, accepted, classes))
        # jsonargparse takes one source after the other, stops at the first, and may say which setting it is
        if named := [one for one in found if any(key in one[1].path for _, key in classes)] or found:
            source, first = named[0]
            return _place(source, first.path, first.reason)
        key, text = _innermost(m[1], m[2])
        return _place(_giver(sources, _keys(key)), _keys(key), _condensed(text))
    if m := _UNKNOWN.search(message):
        keys = _keys(m[1] or m[2])
        unknown = _unknown(keys, accepted) or Mismatch(keys, "no such setting")
        return _place(_giver(sources, unknown.path), unknown.path, unknown.reason)
    return _condensed(message)


def check_groups(sources: Sequence[Source], accepted: Mapping[str, Setting]) -> None:
    """Refuse what jsonargparse lets through: a value where a group of settings belongs."""
    for source in sources:
        for key, value in source.settings.items():
            hint = accepted[key].hint if key in accepted else None
            if isinstance(hint, type) and settings(hint) and not isinstance(value, dict | str):
                reason = f"expected settings (key: value) of {hint.__name__}, got {show(value)}"
                raise UsageError(_place(source, (key,), reason))


def check_nulls(merged: Mapping[str, Any], sources: Sequence[Source], accepted: Mapping[str, Setting]) -> None:
    """Likewise a null where the type hint has no place for one, among the settings that jsonargparse has merged."""
    for key, setting in accepted.items():
        for found in forbidden_nulls(setting.hint, merged.get(key), (key,)):
            raise UsageError(_place(_giver(sources, found.path), found.path, found.reason))


def _mismatches(
    keys: Keys, sources: Sequence[Source], accepted: Mapping[str, Setting], classes: Sequence[tuple[str, str]]
) -> Iterator[tuple[Source, Mismatch]]:
    """Where each source's own value under `keys` and the hint there part."""
    hint, depth = _hint_at(keys, accepted)
    for source in sources:
        if depth and gives(source, keys[:depth]):
            value = _with_classes(at(source.settings, keys[:depth]), classes)
            if found := mismatch(hint, value, keys[:depth]):
                yield source, found


def _giver(sources: Sequence[Source], keys: Keys) -> Source | None:
    """The last source that gives a setting, or else what it lies in."""
    for depth in range(len(keys), 0, -1):
        if givers := [source for source in sources if gives(source, keys[:depth])]:
            return givers[-1]
    return None


def _with_classes(value: Any, classes: Sequence[tuple[str, str]]) -> Any:
    """What an option gives, `{"p": 0.5}`, with the class that a source before it named.

    jsonargparse says which class has which setting, the outermost first: `gate.gate` is of two classes.
    """
    arguments = value.get("init_args", value) if isinstance(value, dict) else None
    if not isinstance(arguments, dict) or "class_path" in value:
        return value
    place = next((i for i, (_, key) in enumerate(classes) if key in arguments), None)
    within = classes if place is None else classes[place + 1 :]
    arguments = {key: _with_classes(inner, within) for key, inner in arguments.items()}
    return arguments if place is None else {"class_path": classes[place][0], "init_args": arguments}


def _hint_at(keys: Keys, accepted: Mapping[str, Setting]) -> tuple[Any, int]:
    """The type hint under as many of the keys as lead to one, and how many those are."""
    hint: Any = None
    for depth, key in enumerate(keys):
        if key not in accepted:
            return hint, depth
        hint = accepted[str(key)].hint
        accepted = settings(hint) if isinstance(hint, type) else {}
    return hint, len(keys)


def _unknown(keys: Keys, accepted: Mapping[str, Setting]) -> Mismatch | None:
    """The first of the keys that is not accepted, as far as classes are known from type hints alone."""
    for depth, key in enumerate(keys):
        if key not in accepted:
            return Mismatch(keys[: depth + 1], f"no such setting; {among(str(key), accepted)}")
        hint = accepted[str(key)].hint
        if not isinstance(hint, type) or is_interface(hint):
            return None
        accepted = settings(hint)
    return None


def _unrecognized(given_arguments: str, accepted: Mapping[str, Setting]) -> str:
    first = given_arguments.split()[0]
    option = first.partition("=")[0]
    if not option.startswith("-"):
        remedy = f"; settings are written --{option}=..." if "=" in first else "; settings start with --"
        return f"{first}: not understood{remedy}"
    unknown = _unknown(_keys(option.lstrip("-").removesuffix("+")), accepted)
    return f"{option}: {unknown.reason if unknown else 'no such setting'}"


def _required(names: Sequence[str], accepted: Mapping[str, Setting]) -> str:
    """A group that is missing as a whole stands for what is required in it."""
    wanted: dict[str, str] = {}
    for keys in map(_keys, names):
        hint, depth = _hint_at(keys, accepted)
        inner = settings(hint) if isinstance(hint, type) and not is_interface(hint) and depth == len(keys) else {}
        required = {key: setting.hint for key, setting in inner.items() if setting.default is inspect.Parameter.empty}
        name = ".".join(map(str, keys))
        wanted |= {f"{name}.{key}": f" ({describe(one)})" for key, one in required.items()} or {
            name: f" ({describe(hint)})" if depth == len(keys) else ""
        }
    listed = ", ".join(f"{name}{what}" for name, what in wanted.items())
    return f"required, but not set: {listed}. Set in a --config file or with --{next(iter(wanted))}=..."


def _place(source: Source | None, keys: Keys, reason: str) -> str:
    """`file:line: key: reason`."""
    where = source.place(keys) if source is not None else ""
    key = re.sub(r"\.\[", "[", ".".join(f"[{k}]" if isinstance(k, int) else k for k in keys if k != "init_args"))
    same = where.lstrip("-") == key
    return f"{where}: {reason}" if same else f"{where}: {key}: {reason}" if where else f"{key}: {reason}"


def _keys(dotted: str) -> Keys:
    """`fit.model.lr` as a path; the sub-command is no part of a configuration file."""
    keys = dotted.split(".")
    return tuple(keys[1:] if keys[0] in ("fit", "validate", "test") and len(keys) > 1 else keys)


def _innermost(key: str, text: str) -> tuple[str, str]:
    """The deepest key that a refusal names, and what it says there."""
    while m := _KEY.search(text):
        key, text = m[1] if m[1].startswith(key) else f"{key}.{m[1]}", m[2]
    return key, text


def _condensed(text: str) -> str:
    """jsonargparse's own words in one line: types by their names, lists of what failed left out."""
    text = re.sub(r"<class '(?:[\w.]+\.)?(\w+)'>", r"\1", text).replace("typing.", "")
    text = re.sub(r"- Expected a path but .* either not accessible or invalid\s*", "", text)
    text = re.sub(r"Expected a dot import path string: .*", "Expected an import path", text)
    text = re.sub(r"Does not validate against.*?Errors:\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"Given value type:.*?Given value:", "; got", text, flags=re.DOTALL)
    text = re.sub(r"\.?\s*Got value: (Namespace\(|\{).*", "", text, flags=re.DOTALL)
    line = " ".join(text.replace("\n", " ").split()).lstrip("- ").replace(" ;", ";")
    line = line.replace(" - Expected a", " or a")
    return line if len(line) <= 300 else line[:297] + "..."
