"""What a design names and lists: what is there, each once, and folders in letters that every file system has."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from mentor_pl.runtime.errors import UsageError

_NAME = re.compile(r"\w[\w.+-]*")


def check_among(key: str, name: str, kind: str, known: Iterable[str]) -> None:
    """Refuse a name that is not known."""
    if name not in known:
        raise UsageError(f"{key} is {name!r}, but {kind} are {', '.join(known)}: name one of them")


def check_distinct(key: str, values: tuple[Any, ...], empty: bool = False) -> None:
    """Refuse what is given twice, and nothing at all unless it may be `empty`."""
    if not values and not empty:
        raise UsageError(f"{key} is empty: give at least one")
    twice = [value for place, value in enumerate(values) if value in values[:place]]
    if twice:
        raise UsageError(f"{key} has {twice[0]} twice: leave one of them out")


def check_names(key: str, names: tuple[str, ...]) -> None:
    """Likewise, of names of folders."""
    check_distinct(key, names)
    for name in names:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{key} has {name!r}, but folders are named for it: give letters, digits and any of . + -")
