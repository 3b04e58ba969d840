r"""What stands behind a number: a unit that pint knows, money, or a noun: `3 \text{ m/s}^2`, `\$5`, `7 \text{ goats}`.

Words that make another number of it, such as *tenths*, *squared*, *or more* and *not*, are no units.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

import sympy

from mentor_pl.rewards.answers.lexer import word_set
from mentor_pl.rewards.answers.tokens import Token, Tokens
from mentor_pl.rewards.answers.words import multiple

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
_PLAIN_UNITS = word_set(
    """
    mm cm dm km nm ft yd mi mg kg lb lbs oz sec min mins hr hrs ml mL mph kph Hz kHz MHz kJ pct sq cu
    """
)
_NO_UNITS = frozenset(("pi", "c", "k", "e", "bn", "mn", "thou", "inverse"))
POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
CURRENCIES = frozenset((r"\$", "USD", "Rs"))
_HEAT = {"c": "celsius", "f": "fahrenheit", "celsius": "celsius", "fahrenheit": "fahrenheit"}
_NAMES = {r"\Omega": "Ω", r"\AA": "Å", "amps": "ampere"}


def _symbol(name: str) -> Any:
    return sympy.Symbol(name, positive=True)


PLAIN, DEGREE, MONEY, PERCENT = sympy.S.One, _symbol("degree"), _symbol("money"), _symbol("percent")
_CENT = _symbol("cent")
_OWN = {
    word: unit
    for unit, words in {
        PERCENT: r"% \% percent pct", DEGREE: "° degree degrees deg", PLAIN: "unit units", _CENT: "cent cents",
        MONEY: r"\$ dollar dollars usd rs euro euros yuan rupees bucks",
    }.items()
    for word in words.split()
}  # fmt: skip
_SIGNS = frozenset((*_OWN, r"\Omega", r"\AA", "per")) - {"deg", "rs"}


@cache
def _registry() -> Any:
    import pint

    return pint.UnitRegistry(non_int_type=Fraction)


@cache
def unit_of(word: str, adjective: bool = False) -> Any:
    """A word behind a number: a symbol for a unit that pint knows, or for a noun; a number for one that multiplies.

    None for any other word; 1 for one that may be an adjective, where such is asked for.
    """
    lower = word.lower()
    name, numeral = _NAMES.get(word, word), "illion" in lower
    if lower in _OWN:
        return _OWN[lower]
    if (times := multiple(lower)) is not None:
        return sympy.Rational(times.numerator, times.denominator)
    if word not in _NO_UNITS and not numeral and not (len(word) > 1 and lower in _CLOSED):
        for spelling in (name, lower) if len(word) > 2 else (name,):
            if known := _registry().parse_unit_name(spelling):
                return _symbol("".join(known[0][:2]))
    if len(word) < 3 or lower in _CLOSED or numeral:
        return None
    if lower in _PLURALS or (len(lower) > 3 and lower.endswith("s") and not lower.endswith(("ss", "us", "is"))):
        return _symbol(f"{lower.removesuffix('s')} (noun)")
    return PLAIN if adjective else None


@cache
def in_base(unit: Any) -> Any:
    """A product of units in base units: meters, seconds, money, degrees, nouns."""
    return unit.xreplace({one: _base(one.name) for one in unit.free_symbols})


def _base(name: str) -> Any:
    if name == "cent":
        return MONEY / 100
    if name in ("money", "degree", "percent") or name.endswith("(noun)"):
        return _symbol(name)
    try:
        base = _registry().Quantity(1, name).to_base_units()
    except TypeError:  # a logarithmic one, as dB, is a base of its own
        return _symbol(name)
    factor = Fraction(base.magnitude)
    powers = [_symbol(one) ** int(power) for one, power in base.unit_items()]
    return sympy.Mul(sympy.Rational(factor.numerator, factor.denominator), *powers)


def is_unit_word(token: Token) -> bool:
    """Whether a token begins a unit where it stands behind a number: a sign, an upright letter, or a word."""
    word = token not in "eid" if token.upright else len(token) > 1 and not token.isupper()
    return token in _SIGNS or (token.isalpha() and word)


def letters_apart(tokens: Tokens) -> list[Token]:
    r"""With runs of letters as letters side by side, but for words, capitals that name a figure, and units.

    A short unit in plain text has nothing but a number before it and, if it could be a product, a gap: 5 km, not 2mg.
    `\mu\text{m}`, `k\Omega` and `^\circ C` are a token each; `\min` and `\sec` are units if upright or at the end.
    """
    found: list[Token] = []
    for place, token in enumerate(tokens):
        before = found[-1] if found else Token("")
        number = place == 1 and before[-1].isdigit()
        size = token in ("km", "cm", "mm", "kg") and place > 0 and (token.gap or number)
        unit = size or (token in _PLAIN_UNITS and number and token.gap) or token in _SIGNS | CURRENCIES
        named = token.upright or (len(token) > 2 and token.isupper()) or (len(token) > 3 and token.islower())
        if before in ("°", "degree", "degrees") and token.casefold() in _HEAT:
            found[-1] = Token(_HEAT[token.casefold()], before.gap, True)
        elif (before == r"\mu" and token.upright and token.isalpha()) or (before.upright and token == r"\Omega"):
            found[-1] = Token(before.replace(r"\mu", "µ") + _NAMES.get(token, token), before.gap, True)
        elif token in (r"\min", r"\sec") and (token.upright or place + 1 == len(tokens)):
            found.append(Token(token[1:], token.gap, True))
        elif not token.isalpha() or len(token) == 1 or unit or named:
            found.append(token)
        else:
            found += [Token(letter, token.gap and not n) for n, letter in enumerate(token)]
    return found
