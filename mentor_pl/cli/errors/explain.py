"""jsonargparse's refusals, which run over many lines for unions and protocols, as one line that says what to do.

    configs/mine.yaml:4: model.n_mixx: no such setting; did you mean 'n_mix'? Accepted: policy, n_mix, lr

The line names the place, the key, the rule and the nearest names. What cannot be worked out keeps jsonargparse's words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mentor_pl.cli.errors.names import among, is_interface
from mentor_pl.cli.errors.sources import Keys, Source, at, find, given, locate
from mentor_pl.cli.errors.types import Mismatch, Setting, describe, forbidden_null, mismatch, settings, show
from mentor_pl.runtime.errors import UsageError

_UNKNOWN = re.compile(r"does not accept option '([^']+)'|Option '([^']+)' is not accepted")
_REQUIRED = re.compile(r"the following arguments are required: (.+)")
_UNRECOGNIZED = re.compile(r"unrecognized arguments: (.+)", re.DOTALL)
_VALUELESS = re.compile(r"argument (?:-\w/)?--(\S+): expected one argument")
_KEY = re.compile(r'Parser key "([^"]+)":\s*(.*)', re.DOTALL)
_INTERPOLATION = re.compile(
    r"Interpolation key '([^']+)' not found(?: \(resolved to '\w+\.([^']+)'\))?\s+full_key: (\S+)"
)


class Refusal(Exception):
    """A parser's final no, as one line. No ValueError, which jsonargparse would catch and wrap."""


def explain(message: str, sources: Sequence[Source], accepted: Mapping[str, Setting]) -> str:
    """One line for a refusal. `accepted` are the settings at the top: trainer, model, data and so on."""
    tree = given(sources)
    if m := _UNRECOGNIZED.search(message):
        return _unrecognized(m[1], accepted)
    if m := _VALUELESS.search(message):
        hint, depth = _hint_at(_keys(m[1]), accepted)
        return f"--{m[1]}: a value is missing" + (f"; expected {describe(hint)}" if depth else "")
    if m := _REQUIRED.search(message):
        return _required(m[1], accepted)
    if m := _INTERPOLATION.search(message):
        name, keys = m[2] or m[1].lstrip("."), _keys(m[3])
        reason = f"'${{{name}}}' refers to a setting that is not there"
        if any(source.keys == keys for source in sources) and name.split(".")[0] in accepted:
            # references in files are put below the sub-command, those in options are not
            reason += f"; on the command line a reference is written ${{{m[3].split('.')[0]}.{name}}}"
        return _place(sources, tree, keys, reason)
    if m := _KEY.search(message):
        if found := _nearest_mismatch(_keys(m[1]), tree, accepted):
            return _place(sources, tree, found.path, found.reason)
        key, text = _innermost(m[1], m[2])
        return _place(sources, tree, (find(tree, key) if "." not in key else None) or _keys(key), _condensed(text))
    if m := _UNKNOWN.search(message):
        keys = _keys(m[1] or m[2])
        keys = keys if keys[0] in tree else find(tree, str(keys[-1])) or keys
        unknown = _unknown(keys, accepted) or _nearest_mismatch(keys[:1], tree, accepted)
        unknown = unknown or Mismatch(keys, "no such setting")
        return _place(sources, tree, unknown.path, unknown.reason)
    return _condensed(message)


def check_given(sources: Sequence[Source], accepted: Mapping[str, Setting]) -> None:
    """Refuse what jsonargparse lets through: a value where a group of settings belongs, null where none may be."""
    tree = given(sources)
    for key, value in tree.items():
        if key not in accepted:
            continue
        hint = accepted[key].hint
        found = None
        if isinstance(hint, type) and settings(hint) and not isinstance(value, dict):
            reason = f"expected settings (key: value) of {hint.__name__}, got {show(value)}"
            found = Mismatch((key,), reason) if not isinstance(value, str) else None
        elif isinstance(value, dict):
            found = forbidden_null(hint, value, (key,))
        if found:
            raise UsageError(_place(sources, tree, found.path, found.reason))


def _nearest_mismatch(keys: Keys, tree: Any, accepted: Mapping[str, Setting]) -> Mismatch | None:
    """Where the given value under `keys` and the hint there part."""
    hint, depth = _hint_at(keys, accepted)
    try:
        return mismatch(hint, at(tree, keys[:depth]), keys[:depth]) if depth else None
    except KeyError:
        return None


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


def _required(names: str, accepted: Mapping[str, Setting]) -> str:
    keys = [".".join(map(str, _keys(name.strip()))) for name in names.split(",")]
    hints = [describe(_hint_at(_keys(key), accepted)[0]) for key in keys]
    listed = ", ".join(f"{key} ({hint})" for key, hint in zip(keys, hints, strict=True))
    return f"required, but not set: {listed}. Set in a --config file or with --{keys[0]}=..."


def _place(sources: Sequence[Source], tree: Any, keys: Keys, reason: str) -> str:
    """`file:line: key: reason`."""
    try:
        where = locate(sources, keys, at(tree, keys))
    except KeyError:
        where = ""
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
