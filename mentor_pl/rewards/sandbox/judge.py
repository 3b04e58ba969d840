"""Tests, run against code that lives in another process: the code sees the calls and never what is expected of them.

The code's names are remotes (`wire.py`). Names of Python itself, of the tests, and of what the code imports from a few
modules that only calculate, are the judge's own.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import socket
from typing import Any

from mentor_pl.rewards.sandbox.wire import EVERYTHING, Closed, Wire

# What tests use of the code's imports: each of them is taken from here and never asked of the code.
_OWN_MODULES = frozenset(
    {
        "bisect", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools", "json",
        "math", "operator", "random", "re", "statistics", "string", "typing",
    }
)  # fmt: skip
_JUDGE_SERVES = frozenset({"call"})  # functions that a test hands over, such as the key of a sort


def serve_names(channel: socket.socket, names: dict[str, Any]) -> None:
    """The code's side: offer its names to the tests until they have run."""
    wire = Wire(channel, EVERYTHING)
    with contextlib.suppress(Closed):
        wire.send(["names", wire.encode(names)])
    wire.serve()


def run_tests(channel: socket.socket, code: str, tests: list[str]) -> list[bool] | None:
    """The judge's side: which tests passed; None where the code did not get to its end, or ended during a test."""
    wire = Wire(channel, _JUDGE_SERVES)
    try:
        first, names = wire.receive()
        offered = wire.decode(names) if first == "names" else {}
        space: dict[str, Any] = {name: value for name, value in offered.items() if not hasattr(builtins, name)}
        _import_own(code, space)
        space |= {"__name__": "tests", "__builtins__": builtins}  # last: the code may offer any name
        passed = [_passes(test, space) for test in tests]
        return None if wire.closed else passed  # a test may have caught what was raised then
    except (Closed, SystemExit, KeyboardInterrupt, GeneratorExit):
        return None


def _passes(test: str, space: dict[str, Any]) -> bool:
    try:
        exec(compile(test, "test.py", "exec"), space)
        return True
    except Exception:
        return False


def _import_own(code: str, space: dict[str, Any]) -> None:
    for node in ast.parse(code).body:
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else modules
        if modules and all(module.partition(".")[0] in _OWN_MODULES for module in modules):
            got: dict[str, Any] = {}
            with contextlib.suppress(Exception):
                exec(compile(ast.Module([node], []), "imports.py", "exec"), got)
            space |= {name: value for name, value in got.items() if not hasattr(builtins, name)}
