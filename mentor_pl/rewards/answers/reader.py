r"""Reads an answer once: from its tokens to an `Answer`, from what binds least to what binds most.

    separators   3, 7 \text{ and } 5     p = 5, q = 2; p = 7, q = 2
    relations    x = 5                   3/4 = 0.75          -1 \leq x < 2       x \equiv 2 \pmod 5
    sets         (0, 1) \cup [2, 3)      \mathbb{R} \setminus \{1\}
    brackets     (1, 2)                  \{1, 2\}            \begin{pmatrix} 1 \\ 2 \end{pmatrix}
    values       \frac12 \text{ cm}      2\sqrt 3            50\%                3:30 p.m.
    words        \text{Tuesday}

What fits nowhere as a whole is an `Answer` that is not read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import sympy

from mentor_pl.rewards.answers.answer import LABEL, Answer, Group, Named, Nonsense, Value, Words
from mentor_pl.rewards.answers.cheap import Ambiguous, TooLarge, Unreadable
from mentor_pl.rewards.answers.formula import FormulaReader
from mentor_pl.rewards.answers.letters import LETTERS
from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.relations import relation
from mentor_pl.rewards.answers.sets import ABOVE, NAMED_SETS, combined, set_builder
from mentor_pl.rewards.answers.structures import Reading, based, matrix, plus_minus, ratio, residue
from mentor_pl.rewards.answers.tokens import Token, Tokens, depths, split
from mentor_pl.rewards.answers.units import MONEY, PLAIN, read_unit
from mentor_pl.rewards.answers.words import number_in_words

_SEPARATORS = frozenset((",", ";", "and", "or", r"\lor", r"\land"))
_PERCENT = (["%"], [r"\%"], ["percent"], ["pct"], ["per", "cent"])
_CLAUSES = frozenset((r"\forall", "for", "where", "with", "when", "whenever", "if", "such"))
_HEDGES = frozenset(("about", "approximately", "roughly", "around", "circa", r"\approx", ",", ";", ":", r"\\", "="))
_FRONTS = frozenset((r"\forall", "for", "so", "thus", "hence", "therefore", "then"))
_ENDS = frozenset((".", ",", ";", ":", r"\\", "\\", r"\qed"))
_DENIALS = frozenset(("or", "not", "and", "mod", "but"))
_NO_LABELS = _DENIALS | {"minus", "twice"}
_CHANGES = frozenset(
    ("wrong", "squared", "cubed", "thousand", "million", "hundred", "dozen", "base", "false", "incorrect")
)
_CONDITIONS = frozenset((r"\in", r"\geq", r"\leq", r"\neq", ">", "<"))
_ARTICLES = frozenset(("the", "a", "an", "on"))
_DECIMAL = re.compile(r"[+-]?(?:\d*\.\d+|\d+\.\d*)(?:\*10\^\{([+-]?\d+)\}|[eE]([+-]?\d+))?")


@lru_cache(maxsize=1024)  # of texts: tokens that differ in their style alone are equal
def read(text: str) -> Answer:
    """The answer that a text is."""
    return read_tokens(tokenise(text))


def read_tokens(tokens: tuple[Token, ...]) -> Answer:
    """The answer that the tokens are."""
    found = _trimmed(tokens)
    if len(found) > 1 and found[0] in (r"\$", "USD", "Rs"):
        amount = read_tokens(found[2 if found[1] == "." else 1 :])
        return replace(amount, tokens=found, unit=MONEY) if isinstance(amount, Value) else amount
    label = found[: _words_ahead(found)]
    behind = found[len(label) + 1 :]
    if label and found[len(label) : len(label) + 1] == (":",) and behind and not _NO_LABELS & _small(label):
        return Named(tokens, LABEL + " ".join(label).casefold(), "", read_tokens(behind))
    number = number_in_words(found)
    if number is not None:
        return _value(found, *number)
    parts, separators = split(found, _SEPARATORS.__contains__)
    return _several(found, parts, separators) if separators else _single(found)


def _trimmed(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Without what stands around an answer, however much of it there is."""
    found = tokens
    for part in (_without_ends, _without_front, _without_clause, _without_remark):
        found = part(found)
    return found if found == tokens else _trimmed(found)


def _without_ends(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Without punctuation behind it, and punctuation or hedges before it; `\\approx x` may be a negation."""
    start, end = 0, len(tokens)
    while end and tokens[end - 1] in _ENDS:
        end -= 1
    while start < end and tokens[start].casefold() in _HEDGES:
        if tokens[start] == r"\approx" and start + 1 < end and tokens[start + 1].isalpha():
            break
        start += 1
    return tokens[start:end]


def _without_front(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Without `for all x,`, `therefore,`, `the sum is`, or a choice's letter in brackets."""
    if tokens and tokens[0].casefold() in _FRONTS and "," in tokens:
        return tokens[tokens.index(Token(",")) + 1 :]
    if tokens[:1] == ("(",) and tokens[2:3] == (")",) and tokens[1] in LETTERS and tokens[1].upright and tokens[3:]:
        return tokens[3:]
    words = _words_ahead(tokens)
    said = 1 < words < len(tokens) and tokens[words - 1] == "is" and not _DENIALS & set(tokens[:words])
    return tokens[words:] if said else tokens


def _without_clause(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Without a clause on where it holds; where there are several answers, each has its own."""
    clauses = [
        place
        for place, (token, depth) in enumerate(zip(tokens, depths(tokens), strict=True))
        if place and token in _CLAUSES and not depth
    ]
    cut = clauses and not _SEPARATORS & set(tokens) and tokens[clauses[0] - 1] != "="
    return tokens[: clauses[0]] if cut else tokens


def _without_remark(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Without words or a condition in brackets at its end."""
    if tokens[-1:] != (")",) or "(" not in tokens[1:]:
        return tokens
    start = len(tokens) - 1 - tokens[::-1].index(Token("("))
    remark, gap, upright = set(tokens[start + 1 : -1]), tokens[start].gap, tokens[start].upright
    if not start or not remark or _DENIALS & remark or not (gap or upright):
        return tokens
    words = all(token.isalpha() or token == "." for token in remark) and any(len(token) > 1 for token in remark)
    dropped = (words and not _CHANGES & remark) or (bool(_CONDITIONS & remark) and gap)
    return tokens[:start] if dropped else tokens


def _words_ahead(tokens: Sequence[str]) -> int:
    """How many words of several letters stand at the beginning."""
    return next((n for n, token in enumerate(tokens) if not token.isalpha() or len(token) < 2), len(tokens))


def _small(tokens: Sequence[str]) -> set[str]:
    return {token.casefold() for token in tokens}


def _several(tokens: tuple[Token, ...], parts: list[tuple[Token, ...]], separators: list[Token]) -> Answer:
    """A list; of groups of names, tuples; of inequalities, the set that they make."""
    loose = [sign for sign in (";", "and", "or") if sign in separators and len(set(separators)) > 1]
    if loose:
        groups = [read_tokens(group) for group in split(tokens, loose[0].__eq__)[0] if group]
        named = [one for one in groups if isinstance(one, Group) and all(isinstance(part, Named) for part in one.parts)]
        if len(named) == len(groups) and len({len(group.parts) for group in named}) == 1:
            return Group(tokens, "list", tuple(Group(group.tokens, "()", group.parts) for group in named))
    found = [read_tokens(part) for part in parts if part]
    domains = [one for one in found if {r"\in", r"\mathbb"} <= set(one.tokens)]  # k \in \mathbb{Z}
    if 0 < len(domains) < len(found):
        found = [one for one in found if one not in domains]
    made = combined(tokens, found, r"\cup" if set(separators) <= {"or", r"\lor"} else r"\cap")
    if made is not None:
        return made
    if {r"\lor", r"\land"} & set(separators) and not all(isinstance(one, Named) for one in found):
        return Nonsense(tokens)
    flat = tuple(part for one in found for part in _elements(one))
    return flat[0] if len(flat) == 1 else Group(tokens, "list", flat)


def _single(tokens: tuple[Token, ...]) -> Answer:
    """One answer."""
    if r"\to" in tokens:
        return Nonsense(tokens)
    if (
        len(tokens) > 1
        and "".join(tokens) not in NAMED_SETS
        and all(token.isalpha() for token in tokens)
        and any(len(token) > 3 for token in tokens)
    ):
        return _words(tokens)
    for reading in (relation, _set, _bracketed, matrix, residue, based, ratio, plus_minus):
        answer = reading(tokens, read_tokens)
        if answer is not None:
            return answer
    try:
        reader = FormulaReader(tokens)
        return _value(tokens, reader.sum(), reader.rest)
    except (Ambiguous, TooLarge):
        return Nonsense(tokens)
    except (Unreadable, RecursionError):
        return (
            _words(tokens) if all(token.isalpha() or token in ("-", "'", ".") for token in tokens) else Answer(tokens)
        )


def _words(tokens: tuple[Token, ...]) -> Answer:
    words = [token.casefold() for token in tokens if token.isalpha()]
    if words[:1] in (["infinite"], ["infinitely"], ["infinity"]):
        return ABOVE
    if words[:1] == ["no"] and words[-1] in ("solution", "solutions"):
        return Group(tokens, "set", ())
    return Words(tokens, " ".join(words[1:] if len(words) > 1 and words[0] in _ARTICLES else words))


def _value(tokens: Tokens, expression: Any, rest: Sequence[Token]) -> Answer:
    """The value with the percent sign or the unit behind it; not read where what follows is neither."""
    if expression.has(sympy.zoo, sympy.nan, sympy.oo):
        return Nonsense(tokens)
    behind, percent = list(rest), False
    for sign in _PERCENT:
        if behind[: len(sign)] == sign:
            behind, percent = behind[len(sign) :], True
    unit = read_unit(behind) if behind else PLAIN
    if unit is None:
        return Answer(tokens)
    decimal = _DECIMAL.fullmatch("".join(tokens[: len(tokens) - len(rest)]))
    places = None
    if decimal:
        number, power = re.split(r"[*eE]", decimal[0])[0], int(decimal[1] or decimal[2] or 0)
        places = max(0, len(number.partition(".")[2]) - power)
    return Value(tokens, expression, places, percent, unit)


def _set(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """Unions, differences and intersections of sets."""
    parts, signs = split(tokens, (r"\cup", r"\setminus", r"\cap").__contains__)
    if not signs and tokens[-1:] == (r"\}",):  # a difference of sets may have a minus sign
        parts, signs = split(tokens, "-".__eq__)
        signs = [Token(r"\setminus")] if len(parts) == 2 and parts[0] and parts[1][0] == r"\{" else []
    if signs and all(parts):
        found = [read(part) for part in parts]
        if set(signs) == {r"\cup"}:
            flat = [
                one
                for part in found
                for one in (part.parts if isinstance(part, Group) and part.kind == "union" else [part])
            ]
            return Group(tokens, "union", tuple(flat))
        return combined(tokens, found, *signs, always=True) or Answer(tokens)
    return NAMED_SETS.get("".join(tokens))


def _bracketed(tokens: tuple[Token, ...], read: Reading) -> Answer | None:
    """A pair of brackets around the whole: a set, a tuple, an interval, or a single answer."""
    if len(tokens) < 2 or tokens[0] not in ("(", "[", r"\{", r"\langle") or min(depths(tokens)[1:-1], default=1) < 1:
        return None
    kind, inside = tokens[0] + tokens[-1], tokens[1:-1]
    if kind == r"\{\}":
        bars = [
            n
            for n, (token, depth) in enumerate(zip(inside, depths(inside), strict=True))
            if token in ("|", ":") and not depth
        ]
        if bars and bars[0] and len(inside) > bars[0] + 2:  # the set of those for which something holds
            return set_builder(tokens, inside[: bars[0]], read(inside[bars[0] + 1 :]))
        parts = split(inside, _SEPARATORS.__contains__)[0]
        elements = tuple(one for part in parts if part for one in _elements(read(part)))
        named = bool(elements) and all(isinstance(one, Named) for one in elements)
        return Group(tokens, "list" if named else "set", elements)
    parts = split(inside, (",", ";").__contains__)[0]
    if kind == "[]" and all(part[:1] == ("[",) and part[-1:] == ("]",) for part in parts):
        return Group(tokens, "matrix", tuple(Group(p, "()", tuple(_elements(read(p[1:-1])))) for p in parts))
    if len(parts) > 1 and all(parts):
        return Group(tokens, "()" if kind == r"\langle\rangle" else kind, tuple(map(read, parts)))
    single = relation(inside, read) is None
    return read(inside) if kind in ("()", "[]") and inside and single else None


def _elements(answer: Answer) -> Sequence[Answer]:
    return answer.parts if isinstance(answer, Group) and answer.kind == "list" else [answer]
