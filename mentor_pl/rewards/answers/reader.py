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
from mentor_pl.rewards.answers.sets import NAMED_SETS, combined, set_builder
from mentor_pl.rewards.answers.structures import Reading, based, matrix, plus_minus, ratio, residue
from mentor_pl.rewards.answers.tokens import Token, Tokens, depths, split
from mentor_pl.rewards.answers.units import MONEY, PLAIN, read_unit
from mentor_pl.rewards.answers.words import number_in_words

_SEPARATORS = frozenset((",", ";", "and", "or", r"\lor", r"\land"))
_PERCENT = (["%"], [r"\%"], ["percent"], ["pct"], ["per", "cent"])
_CLAUSES = frozenset((r"\forall", "for", "where", "with", "when", "whenever", "if", "such"))
_HEDGES = frozenset(("about", "approximately", "roughly", "around", "circa", r"\approx", ",", ";", ":", r"\\", "="))
_CONNECTIVES = frozenset(("so", "thus", "hence", "therefore", "then"))
_ENDS = frozenset((".", ",", ";", ":", r"\\", "\\", r"\qed"))
_DENIALS = frozenset(("or", "not", "and", "mod", "but"))
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
    label = next((n for n, token in enumerate(found) if not token.isalpha() or len(token) < 2), 0)
    if (
        label
        and found[label] == ":"
        and found[label + 1 :]
        and not (_DENIALS | {"minus", "twice"}) & set(map(str.casefold, found[:label]))
    ):
        return Named(tokens, LABEL + " ".join(found[:label]).casefold(), "", read_tokens(found[label + 1 :]))
    number = number_in_words(found)
    if number is not None:
        return _value(found, *number)
    parts, separators = split(found, _SEPARATORS.__contains__)
    return _several(found, parts, separators) if separators else _single(found)


def _trimmed(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Without punctuation at its ends, a remark in brackets behind it, a label or a hedge before it, or a clause on
    where it holds."""
    found = tokens
    while found and found[-1] in _ENDS:
        found = found[:-1]
    while (
        found and found[0].casefold() in _HEDGES and not (found[0] == r"\approx" and found[1:2] and found[1].isalpha())
    ):
        found = found[1:]
    if found and found[0].casefold() in (r"\forall", "for", *_CONNECTIVES) and "," in found:
        found = found[found.index(Token(",")) + 1 :]
    open_ones = depths(found)
    clauses = [n for n, token in enumerate(found) if n and token in _CLAUSES and not open_ones[n]]
    if clauses and not _SEPARATORS & set(found) and found[clauses[0] - 1] != "=":
        found = found[: clauses[0]]
    if found[-1:] == (")",) and "(" in found[1:]:
        start = len(found) - 1 - found[::-1].index(Token("("))
        remark = found[start + 1 : -1]
        beside = start and (found[start].upright or found[start].gap) and not _DENIALS & set(remark)
        words_alone = all(token.isalpha() or token == "." for token in remark) and not _CHANGES & set(remark)
        if (
            beside
            and remark
            and ((words_alone and len(max(remark)) > 1) or (_CONDITIONS & set(remark) and found[start].gap))
        ):
            found = found[:start]
    if found[:1] == ("(",) and found[2:3] == (")",) and found[1] in LETTERS and found[1].upright and found[3:]:
        found = found[3:]  # a choice's letter
    words = next((n for n, token in enumerate(found) if not token.isalpha() or len(token) < 2), len(found))
    if 1 < words < len(found) and found[words - 1] == "is" and not _DENIALS & set(found[:words]):  # the sum is 12
        found = found[words:]
    return found if found == tokens else _trimmed(found)


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
        return Answer((Token(r"\infty"),))
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
