"""A sub-command from a function: its parameters are the options, its docstring is the help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from jsonargparse import ArgumentParser, auto_cli, set_parsing_settings

from mentor_pl.cli.errors.blame import refusal_of_exit, refusal_of_system
from mentor_pl.cli.errors.explain import Refusal, explain
from mentor_pl.cli.errors.sources import read_sources
from mentor_pl.cli.errors.types import Setting, settings
from mentor_pl.runtime.errors import UsageError


def run_function(function: Callable[..., Any], words: str, args: list[str]) -> None:
    """Parse `args` by the signature of `function` and call it."""
    accepted: dict[str, Setting] = settings(function)
    sources = read_sources(args)

    class Parser(ArgumentParser):
        """Says what is wrong in one line, without the usage and without leaving the process."""

        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            if not self.exit_on_error:  # one of several types is being tried
                super().error(message, ex)
            raise Refusal(explain(message, sources, accepted)) from ex

    # As for fit: references are resolved once all files have merged.
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    options: dict[str, Any] = {"as_positional": False, "parser_mode": "omegaconf+", "prog": f"mentor {words}"}
    try:
        auto_cli(function, args=args, parser_class=Parser, **options)
    except Refusal as error:
        raise UsageError(str(error)) from error
    except SystemExit as end:
        refusal = refusal_of_exit(end)
        if refusal is None:
            raise
        raise UsageError(refusal) from end
    except OSError as error:
        refusal = refusal_of_system(error)
        if refusal is None:
            raise
        raise UsageError(refusal) from error
