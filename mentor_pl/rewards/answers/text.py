r"""Answers as text: one spelling for the many ways to write the same mathematics, and a key for string equality.

Everything here is string work, linear in the (bounded) text, and touches no algebra.
"""

from __future__ import annotations

import re
from functools import lru_cache

MAX_ANSWER = 1500  # characters of an answer that are read as mathematics; longer ones are compared as strings

NESTING = 16  # brackets within brackets; deeper answers are compared as strings

_CACHED = 1024  # texts whose reading is kept: a group of rollouts shares its reference

_SUPERSCRIPTS = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
_SUBSCRIPTS = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_SYMBOLS = {
    "−": "-", "–": "-", "‐": "-", "×": r"\times ", "⋅": r"\cdot ", "·": r"\cdot ", "÷": r"\div ", "∗": "*",
    "≤": r"\leq ", "≥": r"\geq ", "⩽": r"\leq ", "⩾": r"\geq ", "≠": r"\neq ", "≈": r"\approx ", "±": r"\pm ",
    "∓": r"\mp ", "∞": r"\infty ", "π": r"\pi ", "θ": r"\theta ", "α": r"\alpha ", "β": r"\beta ", "∪": r"\cup ",
    "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "°": r"^{\circ}", "′": "'", "½": r"\frac{1}{2}",
    "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "ℝ": r"\mathbb{R}",
    "（": "(", "）": ")", "，": ",", "：": ":", "；": ";", "。": ".", "％": "%", "＝": "=", "∣": "|",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u3000": " ", "\u200b": "", "\ufeff": "",
    # A backslash lost to a string escape: "\f" of \frac, "\t" of \text, "\b" of \binom, "\r" of \rho.
    "\x0crac": r"\frac", "\text": r"\text", "\times": r"\times", "\tan": r"\tan", "\theta": r"\theta",
    "\x08inom": r"\binom", "\x08egin": r"\begin", "\rho": r"\rho", "\right": r"\right",
}  # fmt: skip
_PLAIN = re.compile(r"[ -~\n]*")
_SYMBOL = re.compile("|".join(re.escape(symbol) for symbol in sorted(_SYMBOLS, key=len, reverse=True)))
_SUPERSCRIPT = re.compile(f"[{''.join(_SUPERSCRIPTS)}]+")
_SUBSCRIPT = re.compile(f"[{''.join(_SUBSCRIPTS)}]+")
_ROOT = re.compile(r"√\s*(?:\(([^()]*)\)|\{([^{}]*)\}|(\d+|[a-zA-Z]))")

_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", " "),
        (r"(?<!\\)\\\\(?=(?:[dtc]?frac|sqrt|pi|text|left|right|cdot|times|infty|leq?|geq?)(?![a-z]))", r"\\"),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:left|right|m?iddle|[bB]igg?[lr]?)(?![a-zA-Z])\s*\.?", ""),
        (r"\\(?:displaystyle|textstyle|limits|nolimits)(?![a-zA-Z])", ""),
        (r"\\(?:mbox|hbox|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|text|bold|operatorname)\s*\{",
         r"\\text{"),
        (r"\\text\{\s*(sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|ln|log|min|max|pi|sqrt)\s*\}", r"\\\1 "),
        (r"\\textcirc(?![a-zA-Z])|\\degree(?![a-zA-Z])", r"\\circ"),
        (r"(?<=\d)\s*\\circ(?![a-zA-Z])", r"^{\\circ}"),
        (r"\\varnothing(?![a-zA-Z])", r"\\emptyset"),
        (r"(?<![a-zA-Z\\])(?:inf|infinity)(?![a-zA-Z])", r"\\infty"),
        (r"\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![a-zA-Z])\s*)", r"^{\\circ}"),
        (r"\\(?:leqslant|leqq|le)(?![a-zA-Z])", r"\\leq"),
        (r"\\(?:geqslant|geqq|ge)(?![a-zA-Z])", r"\\geq"),
        (r"\\ne(?![a-zA-Z])", r"\\neq"),
        (r"\\pmod\s*(?:\{\s*(\w+)\s*\}|(\w))", r"\\pmod{\1\2}"),
        (r"\(\s*(?:\\b?mod(?![a-zA-Z])|\\text\{\s*mod\s*\}|mod\b)\s*\{?(\w+)\}?\s*\)", r"\\pmod{\1}"),
        (r"(?<=\d)(?:\s+[xX]\s+(?=\d)|\s*[xX]\s*(?=10\s*(?:\^|\*\*)))", r" \\times "),
        (r"\\lt(?![a-zA-Z])", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\lbrace(?![a-zA-Z])", r"\\{"),
        (r"\\rbrace(?![a-zA-Z])", r"\\}"),
        (r"\\cupdot(?![a-zA-Z])|\\bigcup(?![a-zA-Z])", r"\\cup"),
        (r"\\(?:mid|vert|lvert|rvert)(?![a-zA-Z])", "|"),
        (r"\\implies(?![a-zA-Z])|\\Rightarrow(?![a-zA-Z])", ";"),
        (r"\\!|\\hspace\{[^{}]*\}|\\phantom\{[^{}]*\}", ""),
        (r"<=", r"\\leq "),
        (r">=", r"\\geq "),
        (r"(?<!\\)\\[,;:> ]|~|\\q?quad(?![a-zA-Z])|\\\n", " "),
        (r"(?<=\d)\{,\}(?=\d)", ","),
        (r"(?<=\d)\s*,\s*\\!\s*(?=\d{3})", ","),
        (r"\\[$£€]|[$£€]", " "),
        (r"\\%|\\?%", r"\\%"),
        (r"\*\*", "^"),
        (r"_\s*\{\s*\\text\{(\w+)\}\s*\}", r"_{\1}"),
        (r"\s+", " "),
        (r"\^\s*$", ""),
    )
)  # fmt: skip
_SHORT_ROOT = re.compile(r"\\sqrt\s*([a-zA-Z0-9])")
_ARGUMENT = r"\{(?:[^{}]|\{[^{}]*\})*\}|[a-zA-Z0-9]"
_SHORT_FRACTION = re.compile(rf"\\frac\s*({_ARGUMENT})\s*({_ARGUMENT})")
_ARTICLE = re.compile(r"^(?:the|an?) (?=[a-z]{4,}(?: [a-z]{4,})*$)", re.IGNORECASE)
_WORD_RUN = re.compile(r"[^\W\d_]{2,}(?: [^\W\d_]+)*")


@lru_cache(maxsize=_CACHED)
def tidy(text: str) -> str:
    r"""One spelling: Unicode to LaTeX, one name per command, no sizing, spacing, dollars or outer wrappers."""
    text = re.sub(r"(?<=\d)\s*,\s*\\!\s*(?=\d{3})", ",", text)  # before the thin space is dropped
    if not _PLAIN.fullmatch(text):
        text = _spelled_out(text)
    text = re.sub(r"^\s*(?:\\[(\[]|\\(?:approx|simeq)(?![a-zA-Z]))|\\[)\]]\s*\.?\s*$", "", text.strip())
    text = re.sub(r"^\*{2,}|\*{2,}$", "", text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _SHORT_ROOT.sub(r"\\sqrt{\1}", text)
    return unwrap(_SHORT_FRACTION.sub(lambda match: r"\frac" + _braced(match[1]) + _braced(match[2]), text))


def _spelled_out(text: str) -> str:
    """Unicode signs, and commands that a string escape has damaged, as LaTeX."""
    text = _SYMBOL.sub(lambda match: _SYMBOLS[match.group()], text)
    text = _SUPERSCRIPT.sub(lambda match: "^{" + "".join(_SUPERSCRIPTS[c] for c in match.group()) + "}", text)
    text = _SUBSCRIPT.sub(lambda match: "_{" + "".join(_SUBSCRIPTS[c] for c in match.group()) + "}", text)
    return _ROOT.sub(lambda match: r"\sqrt{" + (match[1] or match[2] or match[3] or "") + "}", text)


def _braced(argument: str) -> str:
    return argument if argument.startswith("{") else "{" + argument + "}"


def nesting(text: str) -> int:
    """The greatest depth of brackets within brackets."""
    depth = deepest = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


def unwrap(text: str) -> str:
    r"""Without closing punctuation, braces around the whole, or a `\text{…}` around the whole."""
    while True:
        before = text
        text = text.strip().rstrip(".;,:").strip()
        text = text.rstrip("\\")
        if text.startswith("{") and _closes_at_end(text, 0):
            text = text[1:-1]
        elif text.startswith(r"\text{") and _closes_at_end(text, 5):
            text = text[6:-1]
        if text == before:
            return text


@lru_cache(maxsize=_CACHED)
def key(text: str) -> str:
    """What two answers share if they are equal as strings: tidied, without spaces, words in one case."""
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", tidy(text))
    text = _ARTICLE.sub("", text.strip())
    if _WORD_RUN.fullmatch(text.strip()):
        text = text.casefold()
    text = re.sub(r"_\{(\w)\}", r"_\1", text)
    text = re.sub(r"\^\{(\w)\}", r"^\1", text)
    text = re.sub(r"\\(?:frac|sqrt)(?=[a-zA-Z0-9])", lambda match: match.group() + " ", text)
    return re.sub(r"(?<!\\frac)(?<!\\sqrt) (?!(?<=\d )\d)", "", text)  # "1 1/2" must not become "11/2"


def same_text(answer: str, reference: str) -> bool:
    """Whether the two are equal as strings, after light normalisation."""
    if answer == reference:
        return bool(answer.strip())
    if max(len(answer), len(reference)) > MAX_ANSWER or max(nesting(answer), nesting(reference)) > NESTING:
        return False
    found = key(answer)
    return bool(found) and found == key(reference)


def split_list(text: str) -> list[str]:
    """`text` at its top-level commas, semicolons and the words and/or; a single element where there are none."""
    text = re.sub(r"\\text\{\s*,?\s*(?:and|or)\s*\}|(?<![a-zA-Z\\])(?:and|or)(?![a-zA-Z])", ",", text)
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in ",;" and depth <= 0:
            parts.append(text[start:position])
            start = position + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def enclosed(text: str) -> tuple[str, str, str] | None:
    r"""(opening, inside, closing) where one bracket pair spans the whole: `(…)`, `[…)`, `\{…\}`, or None."""
    pairs = ((r"\{", r"\}"), (r"\langle", r"\rangle"), ("(", ")"), ("[", "]"), ("(", "]"), ("[", ")"))
    for opening, closing in pairs:
        if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing):
            inside = text[len(opening) : -len(closing)]
            depth = 0
            for character in inside:
                depth += (character in "([{") - (character in ")]}")
                if depth < 0:
                    break
            if depth == 0:
                return opening, inside.strip(), closing
    return None


def _closes_at_end(text: str, opening: int) -> bool:
    depth = 0
    for position in range(opening, len(text)):
        if text[position] in "{}" and text[position - 1] != "\\":
            depth += 1 if text[position] == "{" else -1
            if depth == 0:
                return position == len(text) - 1
    return False
