"""A bar on standard error for work whose length may not be known yet; nothing in a log file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import progress as rich_progress
from rich.console import Console

Progress = Callable[[int, int | None], None]  # of what is done and, once known, how much there is


def silent(done: int, total: int | None) -> None:
    """Progress that is shown to nobody."""


@contextmanager
def progress_bar(what: str, *, shown: bool = True) -> Iterator[Progress]:
    """A bar, by the function that moves it."""
    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TimeRemainingColumn(),
    )
    disable = not (shown and sys.stderr.isatty())
    with rich_progress.Progress(*columns, console=Console(stderr=True), transient=True, disable=disable) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
