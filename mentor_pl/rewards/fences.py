"""Fenced blocks of Markdown, and which of them is a response's program. Text alone is looked at; nothing is parsed."""

from __future__ import annotations

import re

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^\n]*)")
_PYTHON = frozenset({"python", "python3", "py"})
_DEFINED = re.compile(r"^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", re.MULTILINE)
_TEST = re.compile(r"[Tt]est")


def blocks(text: str) -> list[tuple[str, str]]:
    """(language, content) of every fenced block, of backticks or tildes, in order.

    A block's indentation is taken from its lines. A block that never closes ends where another of a language begins, or
    the text.
    """
    found: list[tuple[str, str]] = []
    fence, language, indent, lines = "", "", "", [""]

    def end() -> None:
        if fence:
            found.append((language, "".join(f"{line}\n" for line in lines)))

    for line in text.splitlines():
        match = _FENCE.match(line)
        same = match is not None and match[2][0] == fence[:1]
        if match is not None and fence and same and not match[3] and len(match[2]) >= len(fence):
            end()
            fence = ""
        elif match is not None and _opens(match) and (not fence or (same and match[3] and match[1] == indent)):
            end()
            indent, fence, lines = match[1], match[2], []
            language = (re.match(r"\w*", match[3].lstrip("{.")) or [""])[0].lower()
        elif fence:
            lines.append(line.removeprefix(indent))
    end()
    return found


def _opens(match: re.Match[str]) -> bool:
    return match[2][0] == "~" or "`" not in match[3]


def program(text: str) -> str | None:
    """The last Python block of a response or, without one, the last that names no language.

    A block that only uses what an earlier one defines (an example of use, tests) is passed over.
    """
    found = [(name, body) for name, body in blocks(text) if body.strip()]
    named = [body for name, body in found if name in _PYTHON]
    chosen, defined = None, set[str]()
    for body in named or [body for name, body in found if not name]:
        own = _DEFINED.findall(body)
        stands_alone = any(not _TEST.match(name) for name in own)
        if stands_alone or defined.isdisjoint(re.findall(r"\w+", re.sub(r"#.*", "", body))):
            chosen = body
        defined.update(own)
    return chosen
