"""Where the white space between tokens goes: pieces are decoded one by one, and some tokenizers then leave it out."""

from __future__ import annotations

from collections.abc import Sequence


def gaps(text: str, pieces: Sequence[str]) -> tuple[list[bool], bool]:
    """Whether a space stands in front of each piece, and whether pieces and spaces then are the text.

    They are not where a character is spread over several tokens, or white space is of another kind. A special token,
    which the text has not, stands by itself.

    Args:
        text: the response as the tokenizer decodes it.
        pieces: the tokens, decoded one by one.
    """
    found: list[bool] = []
    place = 0
    for piece in pieces:
        if piece and text.startswith(piece, place):
            found.append(False)
            place += len(piece)
        elif piece and text.startswith(" " + piece, place):
            found.append(True)
            place += 1 + len(piece)
        else:
            found.append(bool(piece) and not piece[0].isspace() and place == len(text) and place > 0)
    return found, place == len(text)
