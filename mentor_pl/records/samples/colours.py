"""The page's colours, for what is drawn elsewhere."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

_PAIR: Final = re.compile(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)")


@cache
def style() -> str:
    """The page's style sheet of colours."""
    return (files("mentor_pl.records.page") / "style" / "colours.css").read_text(encoding="utf-8")


@cache
def light() -> dict[str, str]:
    """Name -> #rrggbb on a light ground."""
    return {name: colour for name, colour, _ in _PAIR.findall(style())}
