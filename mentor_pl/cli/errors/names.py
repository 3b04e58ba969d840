"""Names that a configuration may use: importing a class_path, and the nearest names when it is not there."""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, cast


class Unimportable(Exception):
    """A class_path that leads nowhere; the message says where it ends and what is near."""


def among(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` and what is accepted."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near and len(names) > 16:
        return f"did you mean '{near[0]}'?"
    return (f"did you mean '{near[0]}'? Accepted: " if near else "accepted: ") + (_listed(names, 50) or "nothing")


def import_class(class_path: str, base: type) -> Callable[..., Any]:
    """The class or function that a class_path names; a bare name may stand for a subclass of `base`."""
    module_name, _, name = class_path.rpartition(".")
    if not module_name:
        # jsonargparse knows the subclasses of a class, and of these what has been imported
        kinds = [] if base is object or _is_protocol(base) else [k for k in _subclasses(base) if k.__name__ == name]
        if len(kinds) == 1:
            return kinds[0]
        what = "class or function" if base is object else base.__name__
        raise Unimportable(f"'{name}' is not the import path of a {what}{_nearest(class_path, base)}")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name + ".").startswith(error.name + "."):
            raise Unimportable(f"no module named '{error.name}'{_nearest(class_path, base)}") from None
        raise Unimportable(f"importing '{module_name}' fails: {error}") from None
    except Exception as error:
        raise Unimportable(f"importing '{module_name}' fails: {type(error).__name__}: {error}") from None
    target = getattr(module, name, None)
    if target is None:
        raise Unimportable(f"module '{module_name}' has no '{name}'{_nearest(class_path, base, module)}")
    if not callable(target):
        raise Unimportable(f"'{class_path}' is no class but {target!r:.60}")
    return cast("Callable[..., Any]", target)


def implementers(base: type) -> str:
    """`; known: ...`, the classes at hand that may stand where `base` is asked for."""
    names = [import_path(kind) for kind in known_kinds(base)]
    return f"; known: {_listed(names, 6)}" if names else ""


def shortfall(target: Callable[..., Any], base: type) -> str:
    """What keeps `target` from being a `base`, empty if nothing."""
    if base is object or not isinstance(target, type):
        return ""
    if not _is_protocol(base):
        if not issubclass(target, base):
            return f"it does not subclass {import_path(base)}"
        left: frozenset[str] = getattr(target, "__abstractmethods__", frozenset())
        return f"it lacks {', '.join(sorted(left))}" if left else ""
    members = [n for n, m in vars(base).items() if inspect.isfunction(m) and (n == "__call__" or n[0] != "_")]
    lacking = [name for name in members if not hasattr(target, name) or (name == "__call__" and not _calls(target))]
    if lacking:
        return f"it lacks {', '.join(lacking)}"
    differing = [n for n in members if _hints(getattr(target, n)) != _hints(getattr(base, n))]
    wanted = "; ".join(f"def {n}{inspect.signature(getattr(base, n))}" for n in differing)
    return f"its signatures must be {wanted}" if differing else ""


def is_interface(base: type) -> bool:
    """Whether `base` cannot be instantiated itself: a Protocol or an abstract class."""
    return _is_protocol(base) or inspect.isabstract(base) or base is object


def import_path(kind: type) -> str:
    """The shortest import path of a class: of its package where that exports it."""
    parts = kind.__module__.split(".")
    for end in range(1, len(parts)):
        module = ".".join(parts[:end])
        if getattr(sys.modules.get(module), kind.__name__, None) is kind:
            return f"{module}.{kind.__name__}"
    return f"{kind.__module__}.{kind.__name__}"


def _listed(names: list[str], limit: int) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def _nearest(class_path: str, base: type, module: Any = None) -> str:
    """The class that was probably meant, or the known ones."""
    name = class_path.rpartition(".")[2]
    kinds = {kind.__name__: import_path(kind) for kind in known_kinds(base)}
    if module is not None:
        local = {n: k for n, k in vars(module).items() if isinstance(k, type) and n[0] != "_"}
        kinds |= {
            n: f"{module.__name__}.{n}" for n, k in local.items() if not is_interface(k) and not shortfall(k, base)
        }
    near = difflib.get_close_matches(name, kinds, n=1)
    if near:
        return f"; did you mean {kinds[near[0]]}?"
    return f"; known: {_listed(sorted(set(kinds.values())), 6)}" if kinds else ""


def known_kinds(base: type) -> list[type]:
    """Classes of this project, of the base's own package and of what is imported that fit `base`."""
    if base is object:
        return []
    siblings = _siblings(base.__module__)
    if not _is_protocol(base):
        return _subclasses(base)
    modules = [
        m for n, m in list(sys.modules.items()) if n.split(".")[0] in ("callbacks", base.__module__.split(".")[0])
    ]
    modules += siblings
    found = [k for m in modules for k in vars(m).values() if isinstance(k, type) and k.__module__ == m.__name__]
    return [k for k in dict.fromkeys(found) if not _is_protocol(k) and k.__name__[0] != "_" and not shortfall(k, base)]


def _subclasses(base: type) -> list[type]:
    """Those that are imported, itself among them, without interfaces and what is private."""
    found, todo = [base] if not is_interface(base) else [], [base]
    while todo:
        children: list[type] = todo.pop().__subclasses__()
        todo += children
        found += [c for c in children if not is_interface(c) and not c.__name__.startswith("_")]
    return list(dict.fromkeys(found))


def _siblings(module: str) -> list[Any]:
    """The modules beside `module` in its package: `losses/base.py` says what a loss is, the others are losses."""
    package = module.rpartition(".")[0]
    if not package.startswith("mentor_pl."):
        return []
    names = [f"{package}.{m.name}" for m in pkgutil.iter_modules(import_module(package).__path__)]
    return [import_module(name) for name in names]


def _is_protocol(base: type) -> bool:
    return bool(getattr(base, "_is_protocol", False))


def _calls(target: type) -> bool:
    return any("__call__" in vars(base) for base in target.__mro__[:-1])


def _hints(function: Any) -> list[tuple[str, Any]]:
    """Parameters and result of a method, each with its type."""
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    names = [*inspect.signature(function).parameters, "return"]
    return [(name, hints.get(name)) for name in names]
