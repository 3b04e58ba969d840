r"""math-verify's verdict on what our reader does not read whole, behind guards.

It falls back to the last number of what it cannot read, rounds constants to six places and drops units; so a text is
read as a whole or not at all, and nothing is put to it that would run without bound or that it is known to read wrong.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any

import sympy
from math_verify import parse, verify
from math_verify.parser import LatexExtractionConfig, NormalizationConfig
from sympy.logic.boolalg import BooleanAtom

from mentor_pl.rewards.answers.tokens import Tokens, flat

logging.getLogger("math_verify").setLevel(logging.ERROR)  # its notes on absent timeouts: the pool keeps the deadline
logging.getLogger("latex2sympy2_extended").setLevel(logging.ERROR)

_LATEX = (
    LatexExtractionConfig(normalization_config=NormalizationConfig(malformed_operators=True, nits=True, boxed="none")),
)
_STEPS = 120  # tokens; the parser's time grows faster than their number
_NODES = 600  # parts of an expression
_LONGEST = 40  # characters of a token
# What it reads as it is meant; anything else is not put to it.
_READ = re.compile(
    r"\\(?:frac|sqrt|binom|begin\{[pbB]?matrix\}|end\{[pbB]?matrix\}|begin\{array\}|end\{array\}|\\|mathbb|cup|cap|setminus|infty|pi|"
    r"emptyset|in|leq|geq|neq|sin|cos|tan|cot|sec|csc|ln|log|exp|[{}]|alpha|beta|gamma|delta|epsilon|theta|lambda|mu|rho|"
    r"sigma|tau|phi|omega)|[a-zA-Z]{1,3}|\d*\.?\d+|[-+*/^_{}()\[\],=<>&|]"
)


_MISREAD = re.compile(r"[\d|] _|(?<![\d.])\d+ \d+(?![\d.])|(?<!\\)\{ (?:T(?!\S)|\S{4})")


def judged_equal(ours: Tokens, theirs: Tokens) -> bool:
    """Whether math-verify takes the two for the same. May run without bound: for workers only."""
    b = _expression(theirs)
    a = None if b is None else _expression(ours)
    return a is not None and bool(
        a == b or verify(b, a, strict=True, allow_set_relation_comp=True, timeout_seconds=None)
    )


@lru_cache(maxsize=512)
def _expression(tokens: Tokens) -> Any:
    """The expression that all of the tokens are, or None."""
    read = flat(tokens)
    known = all(_READ.fullmatch(token) and len(token) < _LONGEST for token in read)
    if not known or not 0 < len(read) <= _STEPS or _MISREAD.search(" ".join(read)):
        return None
    text = " ".join(r"\cdot" if token == "*" else token for token in read)
    found = parse(f"${text}$", _LATEX, fallback_mode="no_fallback", parsing_timeout=None)
    if len(found) != 1 or isinstance(found[0], BooleanAtom | str):
        return None
    nodes = list(sympy.preorder_traversal(found[0])) if isinstance(found[0], sympy.Basic) else []
    strange = any(one in (sympy.zoo, sympy.nan) or isinstance(one, sympy.factorial) for one in nodes)
    return None if strange or len(nodes) > _NODES else found[0]
