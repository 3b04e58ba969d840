"""A sub-command from a function: its parameters are the options, its docstring is the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jsonargparse import ArgumentParser, auto_cli, set_parsing_settings

from mentor_pl.cli.errors.refusing import refusing, usage_errors
from mentor_pl.cli.errors.sources import read_sources
from mentor_pl.cli.errors.types import settings


def run_function(function: Callable[..., Any], words: str, args: list[str]) -> None:
    """Parse `args` by the signature of `function` and call it."""
    accepted, sources = settings(function), read_sources(args)
    # As for fit: references are resolved once all files have merged.
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    options: dict[str, Any] = {"as_positional": False, "parser_mode": "omegaconf+", "prog": f"mentor {words}"}
    with usage_errors():
        auto_cli(function, args=args, parser_class=refusing(ArgumentParser, sources, accepted), **options)
