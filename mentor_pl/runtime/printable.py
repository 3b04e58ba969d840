"""Text of strangers for a terminal, which obeys control characters."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """The text with control characters, direction marks and lone surrogates escaped.

    Args:
        keep: of these characters, those that stay, such as line breaks.
    """
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)
