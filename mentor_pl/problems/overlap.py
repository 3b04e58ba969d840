"""Whether a training problem stands in a benchmark: by its normalised text first, then by shared 13-grams of words.

Two texts are the same if nothing but layout parts them: case, spacing, LaTeX's braces, dollars and sizes, punctuation.
Operators and numbers stay, so that z⁴ − z² + 1 and z⁴ + z² + 1 are two problems. Two texts are near if they share so
large a part (`NEAR`) of the 13-grams of the shorter one; a mere closing phrase ("where m and n are relatively prime
positive integers. Find m + n.") is less than that. Texts under 13 words are compared as a whole only.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from mentor_pl.problems.sources import SourceRow, read_rows, source_of
from mentor_pl.runtime.errors import UsageError

WORDS = 13
NEAR = 0.6
_LAYOUT = re.compile(
    r"\\(?:left|right|displaystyle|textstyle|text|mathrm|mathbf|operatorname|quad|qquad)(?![a-z])"
    r"|\\[\[\]()!,;:> ]|\\(?=[$%#&])|[${}~_]"
)
_ALIKE = ((re.compile(r"\\[dt]frac"), r"\\frac"), (re.compile(r"\\[lcd]?dots[a-z]?"), "..."))
_SPACE_AND_PUNCTUATION = re.compile(r"\s+|[,;:?!]|\.(?!\d)")
_WORD_OR_NUMBER = re.compile(r"[^\W\d_]+|\d+")
_TEXT_FIELDS = ("problem", "question", "prompt")


def normalised(text: str) -> str:
    """The text without anything that is layout; equal for two wordings that a reader would call the same."""
    return _SPACE_AND_PUNCTUATION.sub("", _without_layout(text))


def hashed(text: str) -> float:
    """A number in [0, 1) that depends on the normalised text alone, the same on every machine."""
    return int.from_bytes(blake2b(normalised(text).encode(), digest_size=8).digest()) / 2**64


@dataclass(frozen=True)
class Overlap:
    """A benchmark's problem that a text repeats.

    Attributes:
        benchmark: its place, `file:line`.
        text: its text.
        shared: share of the shorter text's 13-grams that the other has too; 1 where the normalised texts are equal.
        same: whether the normalised texts are equal.
    """

    benchmark: str
    text: str
    shared: float
    same: bool


class BenchmarkTexts:
    """Problems of benchmarks, ready to be compared with.

    Args:
        texts: (place, text) of each problem.
    """

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self.counts: Counter[str] = Counter()  # file -> its problems
        self._texts: list[tuple[str, str]] = []
        self._sizes: list[int] = []  # distinct 13-grams of each problem
        self._same: dict[str, int] = {}
        self._having: dict[int, list[int]] = {}  # hash of a 13-gram -> problems that have it
        for number, (place, text) in enumerate(texts):
            grams = _grams(text)
            self.counts[source_of(place)] += 1
            self._texts.append((place, text))
            self._sizes.append(len(grams))
            self._same.setdefault(normalised(text), number)
            for gram in grams:
                self._having.setdefault(gram, []).append(number)

    def __len__(self) -> int:
        return len(self._texts)

    def find(self, text: str, near: float = NEAR) -> Overlap | None:
        """The problem that `text` repeats, or else the nearest one, sharing at least `near`; None if there is none."""
        if (same := self._same.get(normalised(text))) is not None:
            return Overlap(*self._texts[same], 1.0, True)
        grams = _grams(text)
        common = Counter(number for gram in grams for number in self._having.get(gram, ()))
        shares = {number: count / min(len(grams), self._sizes[number]) for number, count in common.items()}
        nearest = max(shares, key=lambda number: (shares[number], -number), default=None)
        if nearest is None or shares[nearest] < near:
            return None
        return Overlap(*self._texts[nearest], shares[nearest], False)


def read_benchmarks(sources: Iterable[str]) -> BenchmarkTexts:
    """The problems of some benchmarks: files, folders of them, or names on the Hub, whose split `test` is taken.

    Raises:
        UsageError: for a source that cannot be read, or a row without a problem.
    """
    return BenchmarkTexts(text for source in sources for text in _problem_texts(source))


def _problem_texts(source: str) -> Iterator[tuple[str, str]]:
    for row in read_rows(source, split="test"):
        yield row.place, _problem_text(row)


def _problem_text(row: SourceRow) -> str:
    for name in _TEXT_FIELDS:
        if isinstance(row.values.get(name), str):
            return str(row.values[name])
    raise UsageError(
        f"{row.place}: no text under {', '.join(_TEXT_FIELDS)}, but a benchmark to compare with needs one of them"
    )


def _without_layout(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    for pattern, plain in _ALIKE:
        text = pattern.sub(plain, text)
    return _LAYOUT.sub(" ", text)


def _grams(text: str) -> set[int]:
    words = _WORD_OR_NUMBER.findall(_without_layout(text))
    return {hash(tuple(words[i : i + WORDS])) for i in range(len(words) - WORDS + 1)}
