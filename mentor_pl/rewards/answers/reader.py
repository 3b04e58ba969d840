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
from decimal import Decimal
from functools import lru_cache

import sympy

from mentor_pl.rewards.answers.answer import LABEL, Answer, Group, Named, Spelled, Value
from mentor_pl.rewards.answers.formula import FormulaReader
from mentor_pl.rewards.answers.functions import Refused, Unreadable
from mentor_pl.rewards.answers.letters import LETTERS
from mentor_pl.rewards.answers.lexer import tokenise
from mentor_pl.rewards.answers.relations import relation
from mentor_pl.rewards.answers.sets import ABOVE, NAMED_SETS, combined, set_builder, set_of_sets, written_as_sets
from mentor_pl.rewards.answers.structures import Reading, based, matrix, matrix_of, ratio, residue
from mentor_pl.rewards.answers.tokens import Token, Tokens, compact, flat, split
from mentor_pl.rewards.answers.units import PERCENT, PLAIN, in_base
from mentor_pl.rewards.answers.words import in_digits

_SEPARATORS = frozenset((",", ";", "and", "or", r"\lor", r"\land"))
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
_DECIMAL = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")


@lru_cache(maxsize=1024)  # of texts: tokens that differ in their style alone are equal
def read(text: str) -> Answer:
    """The answer that a text is."""
    return read_tokens(tokenise(text))


def read_tokens(tokens: Tokens) -> Answer:
    """The answer that the tokens are."""
    found = _trimmed(in_digits(tokens))
    label = found[: _words_ahead(found)]
    behind = found[len(label) + 1 :]
    if label and behind and found[len(label)] == ":" and not _NO_LABELS & {token.casefold() for token in label}:
        return Named(tokens, LABEL + " ".join(label).casefold(), "", read_tokens(behind))
    separators = _SEPARATORS & set(found)
    return _several(found, separators) if separators else _single(found)


def _trimmed(tokens: Tokens) -> Tokens:
    """Without what stands around an answer, however much of it there is."""
    start, end = 0, len(tokens)
    while end and tokens[end - 1] in _ENDS:
        end -= 1
    while start < end and tokens[start].casefold() in _HEDGES:
        if tokens[start] == r"\approx" and tokens[start + 1 : end] and tokens[start + 1].isalpha():
            break  # it may be a negation
        start += 1
    found = tokens[start:end]
    words = _words_ahead(found)
    clauses = [place for place, token in enumerate(found) if place and token in _CLAUSES]
    if found and found[0].casefold() in _FRONTS and "," in found:
        found = found[found.index(Token(",")) + 1 :]
    elif found[1:] and found[0].kind == "()" and all(one in LETTERS and one.upright for one in found[0].inside):
        found = found[1:]  # a choice's letter
    elif 1 < words < len(found) and found[words - 1] == "is" and not _DENIALS & set(found[:words]):
        found = found[words:]  # the sum is
    elif clauses and not _SEPARATORS & set(found):
        found = found[: clauses[0]]  # where it holds; of several answers each has its own
    elif found[1:] and _is_remark(found[-1]):
        found = found[:-1]
    return found if found == tokens else _trimmed(found)


def _is_remark(token: Token) -> bool:
    """Whether words or a condition stand in brackets."""
    remark = set(token.inside)
    if token.kind != "()" or _DENIALS & remark or not (token.gap or token.upright):
        return False
    words = all(one.isalpha() or one == "." for one in remark) and any(len(one) > 1 for one in remark)
    return (words and not _CHANGES & remark) or (bool(_CONDITIONS & remark) and token.gap)


def _words_ahead(tokens: Sequence[str]) -> int:
    """How many words of several letters stand at the beginning."""
    return next((n for n, token in enumerate(tokens) if not token.isalpha() or len(token) < 2), len(tokens))


def _several(tokens: Tokens, separators: frozenset[str]) -> Answer:
    """A list; of groups of names, tuples; of inequalities, the set that they make."""
    loose = next((sign for sign in (";", "and", "or") if sign in separators and len(separators) > 1), "")
    found = [read_tokens(part) for part in split(tokens, loose.__eq__ if loose else separators.__contains__)[0] if part]
    names = [_elements(one) for one in found if all(isinstance(part, Named) for part in _elements(one))]
    if loose and len(names) == len(found) and {len(group) for group in names} == {len(names[0])} != {1}:
        return Group(tokens, "list", tuple(Group((), "()", tuple(group)) for group in names))
    values = [one for one in found if r"\in \mathbb" not in one.key] or found  # k \in \mathbb{Z}
    if written_as_sets(values):
        sign = r"\cup" if separators <= {"or", r"\lor"} else r"\cap"
        made = combined(tokens, values, *[sign] * (len(values) - 1))
        if made is not None:
            return made
    if {r"\lor", r"\land"} & separators and not all(isinstance(one, Named) for one in values):
        return Spelled(tokens)
    parts = tuple(part for one in values for part in _elements(one))
    return parts[0] if len(parts) == 1 else Group(tokens, "list", parts)


def _single(tokens: Tokens) -> Answer:
    """One answer."""
    words = all(token.isalpha() or token in ("-", "'", ".") for token in tokens)
    if words and len(tokens) > 1 and any(len(token) > 3 for token in tokens) and compact(tokens) not in NAMED_SETS:
        return _words(tokens)
    for reading in (relation, set_of_sets, _bracketed, matrix, residue, based, ratio):
        answer = reading(tokens, read_tokens)
        if answer is not None:
            return answer
    try:
        if {r"\pm", r"\mp"} & set(flat(tokens)):
            return Group(tokens, "list", tuple(replace(_value(tokens, both), tokens=()) for both in (1, -1)))
        return _value(tokens)
    except Refused:
        return Spelled(tokens)
    except (Unreadable, RecursionError):
        return _words(tokens) if words else Answer(tokens)


def _words(tokens: Tokens) -> Answer:
    words = [token.casefold() for token in tokens if token.isalpha()]
    if words[:1] in (["infinite"], ["infinitely"], ["infinity"]):
        return ABOVE
    if words[:1] == ["no"] and words[-1] in ("solution", "solutions"):
        return Group(tokens, "set", ())
    return Spelled(tuple(map(Token, words[1:] if len(words) > 1 and words[0] in _ARTICLES else words)))


def _value(tokens: Tokens, both: int = 1) -> Answer:
    """A number or a formula with its unit; of two signs, the upper or the lower ones."""
    reader = FormulaReader(tokens, units=True, both=both)
    found = reader.whole()
    if found.has(sympy.zoo, sympy.nan) or (found.has(sympy.oo) and abs(found) != sympy.oo):
        return Spelled(tokens)
    measures = [one for one in found.free_symbols if one.is_positive]
    number, unit = found.as_independent(*measures, as_Add=False) if measures else (found, PLAIN)
    figures = compact(reader.tokens[: reader.measured]).removeprefix(r"\$").replace("*10^{", "e").removesuffix("}")
    places = max(0, -int(Decimal(figures).as_tuple().exponent)) if _DECIMAL.fullmatch(figures) else None
    percent = unit.has(PERCENT)
    return Value(tokens, number, places, percent, in_base(unit / PERCENT if percent else unit))


def _bracketed(tokens: Tokens, read: Reading) -> Answer | None:
    """A pair of brackets around the whole: a set, a tuple, an interval, or a single answer."""
    if len(tokens) != 1 or tokens[0].kind[:1] not in ("(", "[", "\\"):
        return None
    kind, inside = tokens[0].kind, tokens[0].inside
    if kind == r"\{\}":
        bars = [n for n, token in enumerate(inside) if token in ("|", ":")]
        if bars and bars[0] and len(inside) > bars[0] + 2:  # the set of those for which something holds
            return set_builder(tokens, inside[: bars[0]], read(inside[bars[0] + 1 :]))
        elements = tuple(_elements(read(inside))) if inside else ()
        named = bool(elements) and all(isinstance(one, Named) for one in elements)
        return Group(tokens, "list" if named else "set", elements)
    kind = "()" if kind == r"\langle\rangle" else kind
    if kind[0] == "\\":
        return None
    parts = split(inside, (",", ";").__contains__)[0]
    if kind == "[]" and all(part and part[0].kind == "[]" for part in parts):
        return matrix_of(tokens, [_elements(read(part[0].inside)) for part in parts])
    if len(parts) > 1 and all(parts):
        return Group(tokens, kind, tuple(map(read, parts)))
    return read(inside) if kind in ("()", "[]") and inside else None


def _elements(answer: Answer) -> Sequence[Answer]:
    return answer.parts if isinstance(answer, Group) and answer.kind == "list" else [answer]
