"""Samples as a picture, for boards that show colours in no other way.

Letters stand on a grid, so that colours can be laid behind them. What the font has not, what stands on others, and what
is written from right to left is a box there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Rectangle

from mentor_pl.records.samples.colours import light
from mentor_pl.records.samples.sample import Sample, Token

COLUMNS: Final = 110  # letters of a line
LINES: Final = 16  # of a response at most
_PROMPT_LINES: Final = 2
_SIZE, _DPI, _HEIGHT, _MARGIN = 9.0, 120, 27, 20  # points; pixels of an inch, of a line, around
_GLYPHS: Final = {"policy": "●", "mixture": "◆", "demonstration": "▲"}
_FONT: Final = FontProperties(family="DejaVu Sans Mono", size=_SIZE)  # comes with matplotlib
_BARS: Final = {"guided": (0.0,), "replaced": (0.0, 3.0), "given": (0.0,)}  # pixels below a token at which lines lie


class _Span(NamedTuple):
    """Columns of a line with one mark."""

    start: int
    end: int
    mark: str


@dataclass
class _Line:
    """A line of the picture: its letters, and where they are marked or struck out."""

    letters: str = ""
    colour: str = "ink"
    marks: list[_Span] = field(default_factory=list)
    struck: list[_Span] = field(default_factory=list)


def picture(samples: Sequence[Sample], title: str) -> np.ndarray:
    """The samples below each other with a legend above: [height, width, 3] uint8.

    Args:
        samples: of a step.
        title: what they are samples of.
    """
    lines = [*_legend(title)]
    for sample in samples:
        lines += [_Line(), *_sample(sample)]
    return _draw(lines)


def _legend(title: str) -> list[_Line]:
    tokens = [Token("guided", "guided"), Token(" "), Token("replaced", "replaced", "the policy's draft")]
    return [_Line(_plain(title)[:COLUMNS]), *_wrapped([*tokens, Token(" "), Token("given", "given")], 1)]


def _sample(sample: Sample) -> list[_Line]:
    reward = "not graded" if sample.reward is None else f"reward {sample.reward:.3g}"
    facts = f"{len(sample.tokens)} tokens   guided {sample.guided:.1%}"
    head = _Line(f"{_GLYPHS[sample.kind]} {sample.kind:<14}{reward:<16}{facts}", colour=sample.kind)
    prompt = _plain(sample.prompt.replace("\n", "↵"))
    room = COLUMNS * _PROMPT_LINES
    prompt = prompt if len(prompt) <= room else prompt[: room - 1] + "…"
    asked = [_Line(prompt[at : at + COLUMNS], colour="quiet") for at in range(0, len(prompt), COLUMNS)]
    return [head, *asked, *_wrapped(sample.tokens, LINES)]


def _wrapped(tokens: Sequence[Token], most: int) -> list[_Line]:
    """Tokens on a grid, none broken that has room on a line; those beyond `most` lines are counted in one more."""
    lines = [_Line()]
    for place, token in enumerate(tokens):
        text, draft = _plain(token.text), _plain(token.draft).strip(" ")
        marked = text.removeprefix(" ") or "␣" * bool(token.mark)
        needed = len(marked) + len(draft) + bool(draft)
        room = COLUMNS - len(lines[-1].letters) - text.startswith(" ")
        if room < needed <= COLUMNS:
            lines.append(_Line())
        elif text.startswith(" "):
            _put(lines, " ")
        if draft:
            _put(lines, draft, token.mark, struck=True)
            _put(lines, " ", token.mark)
        _put(lines, marked, token.mark)
        if len(lines) > most:
            return [*lines[:most], _Line(f"… {len(tokens) - place:,} tokens more", colour="quiet")]
    return lines


def _put(lines: list[_Line], text: str, mark: str = "", struck: bool = False) -> None:
    for number, part in enumerate(text.split("\n")):
        if number:
            lines.append(_Line())
        for at in range(len(part)):
            if len(lines[-1].letters) == COLUMNS:
                lines.append(_Line())
            line = lines[-1]
            column = len(line.letters)
            line.letters += part[at]
            _extend(line.marks, column, mark, anew=at == 0)
            _extend(line.struck, column, "draft" if struck else "", anew=at == 0)


def _extend(spans: list[_Span], column: int, mark: str, anew: bool) -> None:
    """Have a column be marked, as part of the last span where that is the same token's."""
    if mark and spans and spans[-1].end == column and not anew:
        spans[-1] = spans[-1]._replace(end=column + 1)
    elif mark:
        spans.append(_Span(column, column + 1, mark))


def _plain(text: str) -> str:
    """The text with a box for each letter that has no place on the grid."""
    return "".join(c if c == "\n" or _fits(c) else "□" for c in text)


@cache
def _fits(letter: str) -> bool:
    sideways = unicodedata.bidirectional(letter) in ("R", "AL", "AN") or bool(unicodedata.combining(letter))
    return not sideways and get_font(findfont(_FONT)).get_char_index(ord(letter)) != 0


def _draw(lines: Sequence[_Line]) -> np.ndarray:
    colours = light()
    figure = Figure(figsize=(1, 1), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    width, _, _ = canvas.get_renderer().get_text_width_height_descent("0" * COLUMNS, _FONT, False)
    across, down = int(np.ceil(width)) + 2 * _MARGIN, len(lines) * _HEIGHT + 2 * _MARGIN
    figure.set_size_inches(across / _DPI, down / _DPI)
    figure.set_facecolor(colours["panel"])
    axes = figure.add_axes(
        (0, 0, 1, 1),
        xlim=(0, across),
        ylim=(down, 0),
    )
    axes.set_axis_off()
    boxes, fills, bars, inks = [], [], [], []
    for number, line in enumerate(lines):
        top = _MARGIN + number * _HEIGHT
        base, foot = top + 0.68 * _HEIGHT, top + 0.86 * _HEIGHT
        axes.text(_MARGIN, base, line.letters, color=colours[line.colour], fontproperties=_FONT, parse_math=False)
        for start, end, mark in line.marks:
            left, right = (_MARGIN + width * column / COLUMNS for column in (start, end))
            if mark in colours:
                boxes.append(Rectangle((left, top + 2), right - left - 1, foot - top))
                fills.append(colours[mark])
            for below in _BARS[mark]:
                bars.append([(left, foot + below), (right - 1, foot + below)])
                inks.append(colours["mixture" if mark in colours else "quiet"])
        for start, end, _ in line.struck:
            left, right = (_MARGIN + width * column / COLUMNS for column in (start, end))
            bars.append([(left, base - 0.2 * _HEIGHT), (right, base - 0.2 * _HEIGHT)])
            inks.append(colours["ink"])
    axes.add_collection(PatchCollection(boxes, facecolors=fills, edgecolors="none", zorder=0))
    axes.add_collection(LineCollection(bars, colors=inks, linewidths=0.9, zorder=1))
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
