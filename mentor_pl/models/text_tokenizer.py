"""A tokenizer between text and ids: text is read as text, whatever it spells, and ids are told as the text they add."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

from mentor_pl.runtime.errors import UsageError

CUT_OFF = "\ufffd"  # what stands for bytes that are no character, such as the first ones of a character
CLOSED_BY = 3  # characters that must follow a piece, one of them no white space, for it to be closed: more than `'re`
CONTEXT = 4  # tokens behind which others are told as text, and more where these are bytes
LEADS = ("\n", ".", "a", "1")  # texts in front, where a tokenizer puts a space before the first word
CHARACTERS = 16  # that are read as one piece where a tokenizer knows no pieces and there is no white space


@dataclass(frozen=True)
class Tokens:
    """Text as tokens.

    Attributes:
        ids: of each token.
        starts: where the token's text begins, in characters.
        opens: whether it is the first token of a piece, as the pre-tokenizer divides texts.
    """

    ids: list[int]
    starts: list[int]
    opens: list[bool]


class TextTokenizer:
    """A Hugging Face tokenizer as text has it: no special token is read out of text, and none is added.

    Args:
        tokenizer: one with a `tokenizer.json`; it is copied.
        role: `policy` or `expert`, for messages.
        stop_ids: which end a text and add none to it.
        characters: see `first_token`.

    Raises:
        UsageError: for tokenizers of other kinds.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        role: str,
        stop_ids: Container[int] = (),
        characters: int = CHARACTERS,
    ) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise UsageError(
                f"the {role}'s tokenizer is a {type(tokenizer).__name__} without a tokenizer.json, but where policy "
                "and expert share no ids both must have one: take a model with a fast tokenizer"
            )
        self.backend = Tokenizer.from_str(backend.to_str())
        self.backend.post_processor = None  # some cut offsets short
        self.backend.encode_special_tokens = True  # that is: as text
        self.backend.no_padding()
        self.backend.no_truncation()
        added = self.backend.get_added_tokens_decoder().values()
        self.added = [token.content for token in added if not token.special]  # found in texts before pieces are
        self.size = max(tokenizer.get_vocab().values()) + 1
        self.stop_ids, self.characters = stop_ids, characters
        self.bytes = {i for token, i in tokenizer.get_vocab().items() if re.fullmatch("<0x[0-9A-F]{2}>", token)}
        leads = LEADS if "".join(self._pieces("a")).startswith(("▁", "Ġ")) else ()
        self.leads = [(lead, self._encode(lead).ids) for lead in leads]
        self.has_pieces = len(self._pieces("a b")) > 1

    def _pieces(self, text: str) -> list[str]:
        """A text as it is divided before it becomes tokens."""
        normalizer, pre_tokenizer = self.backend.normalizer, self.backend.pre_tokenizer
        text = normalizer.normalize_str(text) if normalizer is not None else text
        return [piece for piece, _ in pre_tokenizer.pre_tokenize_str(text)] if pre_tokenizer is not None else [text]

    def _encode(self, text: str) -> Tokens:
        encoding = self.backend.encode(text, add_special_tokens=False)
        words = encoding.word_ids
        opens = [i == 0 or word != words[i - 1] for i, word in enumerate(words)]
        return Tokens(encoding.ids, [start for start, _ in encoding.offsets], opens)

    def tokens(self, text: str) -> Tokens:
        """The tokens of a text that stands behind other text: no space is put in front of it."""
        for lead, ids in self.leads:
            found, count = self._encode(lead + text), len(ids)
            if found.ids[:count] == ids:  # else the text has grown into one token with what leads it
                starts = [start - len(lead) for start in found.starts[count:]]
                return Tokens(found.ids[count:], starts, [True, *found.opens[count + 1 :]][: len(starts)])
        return self._encode(text)

    def text(self, ids: Sequence[int], behind: Sequence[int] = (), special: bool = True) -> str:
        """What `ids` add to the text of the ids `behind` which they stand.

        Args:
            special: whether special tokens are told as text.
        """
        behind = self._context(behind)
        before = self.backend.decode(list(behind), skip_special_tokens=not special)
        return str(self.backend.decode([*behind, *ids], skip_special_tokens=not special)[len(before) :])

    def _context(self, ids: Sequence[int]) -> Sequence[int]:
        """The last few ids, which do not begin among the bytes of a character."""
        begin = max(0, len(ids) - CONTEXT)
        while begin and ids[begin] in self.bytes:
            begin -= 1
        return ids[begin:]

    @cached_property
    def texts(self) -> list[tuple[str, int]]:
        """(text, id) in the texts' order; tokens that end a text, are parts of characters, or no text, are left out."""
        alone = ((self.text([i], special=False), i) for i in range(self.size))
        behind = next(([i] for text, i in alone if text.strip() and CUT_OFF not in text), [])
        ids = (i for i in range(self.size) if i not in self.stop_ids)
        texts = ((self.text([i], behind, special=False), i) for i in ids)
        return sorted((text, i) for text, i in texts if text and CUT_OFF not in text)

    @cached_property
    def ids_by_text(self) -> dict[str, list[int]]:
        """Likewise, by text."""
        ids: dict[str, list[int]] = {}
        for text, i in self.texts:
            ids.setdefault(text, []).append(i)
        return ids

    def closed(self, text: str, end: int) -> bool:
        """Whether the pieces before the place `end` stay as they are, whatever follows the text.

        White space may be taken into what stands before it as long as nothing else has come, three characters tell a
        contraction (`'ll`), which some take into the word, from a mark that stands alone, and what the text ends with
        may be the beginning of one of the tokens that are found wherever they stand, such as `<think>`, which divide
        white space otherwise than words do.
        """
        rest = text[end:]
        touching = end + len(rest) - len(rest.lstrip()) + 1
        return len(rest) >= CLOSED_BY and not rest.isspace() and not self._begins_before(touching, text)

    def _begins_before(self, end: int, text: str) -> bool:
        """Whether a token that is found wherever it stands may begin before a place, and go on beyond the text."""
        return any(
            token.startswith(text[begin:])
            for token in self.added
            for begin in range(max(0, len(text) - len(token) + 1), end)
        )

    def first_token(self, text: str, whole: bool) -> int | None:
        """The first token of a text that may go on, once no further text can change it; None before that.

        A tokenizer that divides texts into pieces (words, numbers, white space) makes tokens of each alone: the first
        one is closed when the pre-tokenizer has split it off, and `CLOSED_BY` characters follow it, not all white
        space. For one that does not, a piece ends before the white space that follows a word, or after so many
        `characters`.

        Args:
            whole: the text goes no further.
        """
        if not self.has_pieces:
            piece = re.match(r"\s*\S+(?=\s)", text[: self.characters + 1])
            if piece is None and len(text) < self.characters and not whole:
                return None
            text = piece[0] if piece is not None else text[: self.characters]
            return next(iter(self.tokens(text).ids), None)
        found = self.tokens(text)
        second = next((start for start, opens in zip(found.starts[1:], found.opens[1:], strict=True) if opens), None)
        if not whole and (second is None or not self.closed(text, second)):
            return None
        return next(iter(found.ids), None)


class GrowingText:
    """The tokens of a text that grows and is cut: those of the whole text, though its end alone is tokenised anew.

    Args:
        tokenizer: whose tokens they are.
    """

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self.tokenizer, self.text = tokenizer, ""
        self.tokens = Tokens([], [], [])

    def tokenised(self, text: str) -> list[int]:
        """The ids of `text`, which is remembered."""
        kept, old = self._settled(text), self.tokens
        begin = old.starts[kept] if kept else 0
        new = self.tokenizer.tokens(text[begin:])
        starts = [begin + start for start in new.starts]
        self.text = text
        self.tokens = Tokens(old.ids[:kept] + new.ids, old.starts[:kept] + starts, old.opens[:kept] + new.opens)
        return self.tokens.ids

    def _settled(self, text: str) -> int:
        """Tokens before a piece behind which the old text and the new one are alike for long enough."""
        if not self.tokenizer.has_pieces:
            return 0
        alike, (ids, starts, opens) = common(self.text, text), vars(self.tokens).values()
        for i in range(len(ids) - 1, 0, -1):
            if opens[i] and self.tokenizer.closed(text[:alike], starts[i]):
                return i
        return 0


def common(one: Sequence[object], other: Sequence[object]) -> int:
    """How far two texts or lists of tokens are alike."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    low, high = 0, most  # alike up to `low`, not up to `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[low:middle] == other[low:middle] else (low, middle)
    return low
