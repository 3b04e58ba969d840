"""The command's refusals, wherever they come from, as a `UsageError` of one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn, TypeVar

from jsonargparse import ArgumentParser

from mentor_pl.cli.errors.blame import refusal_of_exit, refusal_of_system
from mentor_pl.cli.errors.explain import Refusal, explain
from mentor_pl.cli.errors.sources import Source
from mentor_pl.cli.errors.types import Setting
from mentor_pl.runtime.errors import UsageError

Parser = TypeVar("Parser", bound=ArgumentParser)


def refusing(parser: type[Parser], sources: Sequence[Source], accepted: Mapping[str, Setting]) -> type[Parser]:
    """A kind of parser that raises `Refusal`, in one line, where it would print the usage and leave the process.

    Args:
        parser: the kind.
        sources: what the user gave.
        accepted: the settings at the top.
    """

    class Refusing(parser):  # type: ignore[valid-type, misc]
        def error(self, message: str, ex: Exception | None = None) -> NoReturn:
            if not self.exit_on_error:  # one of several types is being tried
                super().error(message, ex)
            raise Refusal(explain(message, sources, accepted)) from ex

    return Refusing


@contextmanager
def usage_errors() -> Iterator[None]:
    """Inside, what a parser or the system refuses, and the end of the process that a setting asks for, are one line.

    Raises:
        UsageError: for these; all else passes.
    """
    try:
        yield
    except Refusal as error:
        raise UsageError(str(error)) from error
    except (OSError, SystemExit) as error:
        refusal = refusal_of_system(error) if isinstance(error, OSError) else refusal_of_exit(error)
        if refusal is None:
            raise
        raise UsageError(refusal) from error
