"""The command's refusals, wherever they come from, as a `UsageError` of one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

from jsonargparse import ArgumentParser

from mentor_pl.cli.errors.blame import refusal_of_exit, refusal_of_system
from mentor_pl.cli.errors.explain import explain
from mentor_pl.cli.errors.sources import Source
from mentor_pl.cli.errors.types import Setting
from mentor_pl.runtime.errors import UsageError


class Refusal(Exception):
    """A parser's final no, in its own words. No ValueError, which jsonargparse would catch and wrap."""


class Refusing(ArgumentParser):
    """A parser that raises `Refusal` where it would print the usage and leave the process.

    It knows nothing of what it parses: jsonargparse keeps one parser for each class that is named and each kind of
    parser, so a kind for each call would have all of them made anew, and kept.
    """

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:  # one of several types is being tried
            super().error(message, ex)
        raise Refusal(message) from ex


@contextmanager
def explained(sources: Sequence[Source], accepted: Mapping[str, Setting]) -> Iterator[None]:
    """Inside, a parser's refusal is one line that says what to do.

    Args:
        sources: what the user gave.
        accepted: the settings at the top.

    Raises:
        UsageError: for it.
    """
    try:
        yield
    except Refusal as refusal:
        raise UsageError(explain(str(refusal), sources, accepted)) from refusal


@contextmanager
def usage_errors() -> Iterator[None]:
    """Inside, what the system refuses, and the end of the process that a setting asks for, are one line.

    Raises:
        UsageError: for these; all else passes.
    """
    try:
        yield
    except (OSError, SystemExit) as error:
        refusal = refusal_of_system(error) if isinstance(error, OSError) else refusal_of_exit(error)
        if refusal is None:
            raise
        raise UsageError(refusal) from error
