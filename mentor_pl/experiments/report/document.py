"""A report written once and shown twice: as Markdown, and as one HTML file that needs nothing from elsewhere.

All text is escaped in both: names of methods, metrics and the last lines of logs are no markup.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Heading:
    """Of level 1 or 2."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """Columns and rows of text; what looks like a number is set to the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Code:
    """Lines as they are."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A figure that lies beside the report.

    Attributes:
        path: without suffix, relative to the report: Markdown shows the PNG, HTML takes in the SVG.
        caption: below it.
    """

    path: str
    caption: str


Block = Heading | Text | Table | Code | Picture

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: #222 }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: .88rem }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #e4e4e4; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
pre { background: #f5f5f5; padding: .8rem; overflow-x: auto; font-size: .78rem }
figure { margin: 1.2rem 0 } img { max-width: 100% } figcaption { color: #555; font-size: .88rem }
strong { color: #a33 }
"""
# The page runs no script and fetches nothing, whatever text has got into it.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def to_markdown(blocks: Sequence[Block]) -> str:
    """The report as Markdown."""
    return "\n\n".join(map(_markdown, blocks)) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {_plain(text)}"
        case Text(text, strong):
            return f"**{_plain(text)}**" if strong else _plain(text)
        case Table(columns, rows):
            lines = [columns, ["---"] * len(columns), *rows]
            return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)
        case Code(text):
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{fence}\n{text}\n{fence}"
        case Picture(path, caption):
            return f"![{_plain(caption)}]({path}.png)\n\n{_plain(caption)}"


def _plain(text: str) -> str:
    """Text of which Markdown makes nothing; @, = and the like stay readable, and so does _ within a word."""
    return re.sub(r"([\\`*\[\]<>|]|(?<!\w)_|_(?!\w))", r"\\\1", " ".join(text.split()))


def _cell(text: str) -> str:
    return text if text == "---" else _plain(text)


def to_html(blocks: Sequence[Block], title: str, folder: Path) -> str:
    """The report as one page.

    Args:
        blocks: of the report.
        title: of the page.
        folder: that its pictures' paths are relative to.
    """
    body = "\n".join(_html(block, folder) for block in blocks)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _html(block: Block, folder: Path) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Text(text, strong):
            return f"<p><strong>{html.escape(text)}</strong></p>" if strong else f"<p>{html.escape(text)}</p>"
        case Table(columns, rows):
            head = "".join(f"<th>{html.escape(name)}</th>" for name in columns)
            lines = ("<tr>" + "".join(map(_td, row)) + "</tr>" for row in rows)
            body = "\n".join(lines)
            return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
        case Code(text):
            return f"<pre>{html.escape(text)}</pre>"
        case Picture(path, caption):
            data = base64.b64encode((folder / f"{path}.svg").read_bytes()).decode()
            words = html.escape(caption)
            image = f'<img alt="{words}" src="data:image/svg+xml;base64,{data}">'
            return f"<figure>{image}<figcaption>{words}</figcaption></figure>"


def _td(text: str) -> str:
    number = re.match(r"[−+-]?\d", text) and len(text) < 40
    return f'<td class="n">{html.escape(text)}</td>' if number else f"<td>{html.escape(text)}</td>"
