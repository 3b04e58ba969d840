"""A response as a document of HTML by itself, for a cell of a table: nothing in it runs, and it loads nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Final

from mentor_pl.records.samples.colours import style
from mentor_pl.records.samples.sample import Sample, Token

TOKENS: Final = 4000  # of a response that are shown

_STYLE: Final = """
body { margin: 0; padding: 6px 8px; background: var(--panel); color: var(--ink); }
body { font: 14px/1.9 ui-monospace, monospace; }
p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.legend { color: var(--quiet); font-size: 12px; }
span { unicode-bidi: isolate; }
.guided { background: var(--guided); border-bottom: 2px solid var(--mixture); }
.replaced { background: var(--replaced); border-bottom: 4px double var(--mixture); }
.given { border-bottom: 2px dotted var(--quiet); }
s { font-size: 0.88em; margin-right: 4px; }
"""
_LEGEND: Final = {
    "guided": '<span class="guided">guided</span>',
    "replaced": '<span class="replaced"><s>the policy’s draft</s>replaced</span>',
    "given": '<span class="given">given</span>',
}


def cell(sample: Sample) -> str:
    """The response with its tokens coloured by guidance, and a legend of the marks that it has."""
    sheet = style() + _STYLE
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    shown = sample.tokens[:TOKENS]
    left = len(sample.tokens) - len(shown)
    marks = {token.mark for token in shown}
    legend = " ".join(text for mark, text in _LEGEND.items() if mark in marks)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{digest}'\">"
        f"<title>response</title><style>{sheet}</style></head><body>"
        + (f'<p class="legend">{legend}</p>' if legend else "")
        + f"<p>{_tokens(shown)}{f' … {left:,} tokens more' if left else ''}</p></body></html>"
    )


def _tokens(tokens: Sequence[Token]) -> str:
    """Each marked token by itself, and what lies between as one."""
    parts = []
    for mark, run in groupby(tokens, lambda token: token.mark):
        if not mark:
            parts.append(f"<span>{escape(''.join(token.text for token in run))}</span>")
            continue
        for token in run:
            space = " " * token.text.startswith(" ")
            draft = f"<s>{escape(token.draft.strip(' ') or '␣')}</s>" if token.draft else ""
            text = escape(token.text.removeprefix(space)) or "␣"
            parts.append(f'{space}<span class="{mark}">{draft}{text}</span>')
    return "".join(parts)
