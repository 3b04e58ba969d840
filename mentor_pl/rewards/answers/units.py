r"""What stands behind a number: a unit that pint knows, money, or a noun: `3 \text{ m/s}^2`, `\$5`, `7 \text{ goats}`.

Words that make another number of it, such as *tenths*, *squared*, *or more* and *not*, are no units.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

from mentor_pl.rewards.answers.lexer import word_set
from mentor_pl.rewards.answers.tokens import Token

# Closed classes of words: numerals, signs of operations and relations, negations, hedges, conjunctions.
_CLOSED = word_set(
    """
    a about above add all almost although always and any approximately around as at because below between but by
    chance cubed decrease divided double dozen dozens each either equal equals even every except exactly exceeds
    factorial fails false few fewer for from greater half halves hundred hundreds if increase is isn it its less let
    many maybe minus misses mod modulo more most negative negatives nor no none not nothing null of only onwards or
    other others out over pair pairs percent perhaps plus point positive possibly power probably quarter quarters
    remainder right root score scores several since so some sometimes sqrt square squared squares subtract tens than
    thanks that then there these they this thousand thousands times to true twice under undefined unless until up
    upwards was were when where which with without wrong yes zero zeros
    """
)
_PLURALS = word_set(
    """
    people men women children feet teeth mice geese sheep fish deer dice cattle police yen
    """
)
_NUMERAL = re.compile(
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty)"
    r"(?:ths?)?|(?:third|fourth|fif|sixth|seventh|eighth|nin|tenth|eleventh|twelf|\w+teen|\w+tie|hundred|thousand)(?:th)?s?"
    r"|\w+illion(?:th)?s?"
)
_PLAIN_UNITS = word_set(
    """
    mm cm dm km nm ft yd mi mg kg lb lbs oz sec min mins hr hrs ml mL mph kph Hz kHz MHz kJ pct
    """
)
_MONEY = dict.fromkeys(word_set("$ dollar dollars usd rs euro euros yuan rupees bucks"), Fraction(1))
_MONEY |= dict.fromkeys(["cent", "cents", "¢"], Fraction(1, 100))
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_SYMBOLS = {
    r"^{\circ}C": " celsius ", r"^{\circ}F": " fahrenheit ", r"^{\circ}": " degree ", r"\mu ": "µ", r"\Omega": "Ω",
    r"\AA": "Å", r"k Ω": "kΩ", r"M Ω": "MΩ", r"\odot": "sun", r"\min": "min", r"\sec": "second", r"\$": "dollar",
}  # fmt: skip
_ADJECTIVE = re.compile(r"[ -]+[^\W\d_]")  # another word follows
_PIECE = re.compile(
    r"(?P<word>(?!per\b|sq\b|cu\b|square\b|cubic\b)[^\W\d_]+)(?:_\{[^{}]*\})?(?:\^\{(?P<power>[+-]?\d)\})?|\w+|."
)


@dataclass(frozen=True)
class Unit:
    """A product of base units and nouns.

    Attributes:
        factor: what it is in its base units.
        powers: (base, power) in the bases' order; empty for a plain number.
    """

    factor: Fraction = Fraction(1)
    powers: tuple[tuple[str, int], ...] = ()


_NO_UNITS = frozenset(("pi", "c", "k", "e", "bn", "mn", "thou", "inverse"))
_ALIASES = {"sec": "second", "amp": "ampere", "amps": "ampere", "yr": "year", "yrs": "year", "hrs": "hour"}
_ALIASES |= {"litre": "liter"}
PLAIN, DEGREE, MONEY = Unit(), Unit(powers=(("degree", 1),)), Unit(powers=(("money", 1),))


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)


def _closed(word: str) -> bool:
    return len(word) < 3 or word.lower() in _CLOSED or bool(_NUMERAL.fullmatch(word.lower()))


@cache
def _named(word: str) -> Unit | None:
    """The unit of one word: one that pint knows, or of a noun in the plural its own; None for one that is neither."""
    lower = word.lower()
    if lower in _MONEY:
        return Unit(_MONEY[lower], (("money", 1),))
    if lower in ("degree", "degrees", "deg"):
        return DEGREE
    if lower in ("unit", "units"):
        return PLAIN
    if word not in _NO_UNITS and not _NUMERAL.fullmatch(lower) and not (len(word) > 1 and lower in _CLOSED):
        for spelling in (_ALIASES.get(lower, word), lower) if len(word) > 2 else (word,):
            if known := _registry().parse_unit_name(spelling):
                name = "".join(known[0][:2])
                try:
                    base = _registry().Quantity(1, name).to_base_units()
                except TypeError:  # a logarithmic one, as dB, is a base of its own
                    return Unit(powers=((name, 1),))
                return Unit(Fraction(base.magnitude), tuple(sorted((one, int(n)) for one, n in base.unit_items())))
    plural = lower in _PLURALS or (len(lower) > 3 and lower.endswith("s") and not lower.endswith(("ss", "us", "is")))
    noun = plural and not _closed(word)
    return Unit(Fraction(1), ((lower.removesuffix("s"), 1),)) if noun else None


def is_unit_word(token: Token) -> bool:
    """Whether a token behind a number begins a unit: upright, a known symbol of several letters, or a word."""
    if token in (r"\Omega", r"\AA", r"\$", "per", r"\min", r"\sec"):
        return bool(token not in (r"\min", r"\sec") or token.upright)
    if not token.isalpha():
        return False
    return bool(token.upright and token not in "eid") or token in _PLAIN_UNITS or (len(token) > 3 and token.islower())


def letters_apart(tokens: Sequence[Token]) -> list[Token]:
    """With runs of letters as letters side by side, but for words, capitals that name a figure, and units.

    A short unit in plain text has nothing but a number before it and, if it could be a product, a gap: 5 km, not 2mg.
    """
    found: list[Token] = []
    for token in tokens:
        number = len(found) == 1 and found[0][-1].isdigit()
        size = token in ("km", "cm", "mm", "kg") and bool(found) and (token.gap or number)
        unit = is_unit_word(token) and (token.upright or len(token) > 3 or size or (number and token.gap))
        named = (len(token) > 2 and token.isupper()) or (len(token) > 3 and token.islower())
        if not token.isalpha() or len(token) == 1 or unit or named or token == "per":
            found.append(token)
        else:
            found += [Token(letter, token.gap and not n, token.upright) for n, letter in enumerate(token)]
    return found


def read_unit(tokens: Sequence[str]) -> Unit | None:
    """The unit that all of `tokens` are, or None."""
    text = re.sub(r" ?([\^_{}]) ?|(?<=-) ", r"\1", " ".join(tokens))
    for sign, spelling in _SYMBOLS.items():
        text = text.replace(sign, spelling)
    text = re.sub(r"degrees? (?=celsius|fahrenheit)", "", text, flags=re.IGNORECASE)
    factor, powers = Fraction(1), dict[str, int]()
    over, scale, outer = 1, 1, [1]
    for match in _PIECE.finditer(text):
        piece, word = match[0], match["word"]
        if piece in ("/", "per"):
            over = -1
        elif piece in _POWERS:
            scale = _POWERS[piece]
        elif piece == "(":
            outer.append(outer[-1] * over)
            over = 1
        elif piece == ")" and len(outer) > 1:
            outer.pop()
        elif word:
            unit = _named(word)
            if unit is None and _ADJECTIVE.match(text, match.end()) and not _closed(word):
                continue
            if unit is None:
                return None
            power = int(match["power"] or scale) * over * outer[-1]
            factor *= unit.factor**power
            for base, own in unit.powers:
                powers[base] = powers.get(base, 0) + own * power
            over = scale = 1
        elif piece not in " *.-":
            return None
    return Unit(factor, tuple(sorted((base, power) for base, power in powers.items() if power)))
