"""A sub-command from a function: its parameters are the options, its docstring is the help."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Any, get_origin

from docstring_parser import parse
from jsonargparse import auto_cli, set_parsing_settings

from mentor_pl.cli.errors.refusing import Refusing, explained, usage_errors
from mentor_pl.cli.errors.sources import read_sources
from mentor_pl.cli.errors.types import Setting, settings


def run_function(function: Callable[..., Any], words: str, args: list[str]) -> None:
    """Parse `args` by the signature of `function` and call it."""
    accepted = settings(function)
    args = _spelt_out(args, accepted)
    sources = read_sources(args)
    # As for fit: references are resolved once all files have merged, and a subclass of a benchmark may be named. It is
    # told by its name, since to import it takes seconds; and no other dataclass may be, for the rest of the process.
    benchmarks: list[Any] = [one.hint for one in accepted.values() if getattr(one.hint, "__name__", "") == "Benchmark"]
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True, subclasses_enabled=benchmarks)
    told = parse(function.__doc__ or "")
    options: dict[str, Any] = {"as_positional": False, "parser_mode": "omegaconf+", "prog": f"mentor {words}"}
    options["description"] = f"{told.short_description} {told.long_description or ''}"
    with usage_errors(), explained(sources, accepted):
        auto_cli(function, args=args, parser_class=Refusing, **options)


def _spelt_out(args: list[str], accepted: Mapping[str, Setting]) -> list[str]:
    """The arguments as jsonargparse wants them.

    A required file may stand first without its name and, where the function takes an optional one next, that one
    second; a switch alone; and an option of several values may be given several times: `--base A --base B`.
    """
    for place, (name, setting) in enumerate(list(accepted.items())[:2]):
        wanted = [(Path, Parameter.empty), (Path | None, None)][place]
        if args[place : place + 1] and not args[place].startswith("-") and (setting.hint, setting.default) == wanted:
            args = [*args[:place], f"--{name}={args[place]}", *args[place + 1 :]]
        else:
            break
    switches = {f"--{name}" for name, one in accepted.items() if one.hint is bool}
    several = {f"--{name}" for name, one in accepted.items() if get_origin(one.hint) is Sequence}
    args = [re.sub(r"^(--\w+)(?==|$)", r"\1+", arg) if arg.partition("=")[0] in several else arg for arg in args]
    followed = zip(args, [*args[1:], "--"], strict=False)
    return [f"{arg}=true" if arg in switches and after.startswith("--") else arg for arg, after in followed]
