r"""Where a response's answer stands: in its last `\boxed{}`, or, for text of other habits, behind a marker.

All scanning is linear in the text, so it is safe on whatever a model writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

TAIL = 4000  # characters of a response that are scored; answers stand at its end
SEARCHED_CHARACTERS = (
    250_000  # characters at a text's end that are searched for any box at all: some 30 ms where all are braces
)

_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s*(?=\{)|\s+(?P<bare>[^\s${}\\]+))")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)  # an escaped character is passed over
_CALCULATION = re.compile(r"<<[^<>\n]{0,200}>>")  # GSM8K's calculator annotations
_JOINT = re.compile(r"[\s,;.$&]|\\\\|\\[()\[\],;:!]|\\q?quad|\\text\{[^{}]{0,40}\band\s*\}|and\b")
_MARKERS = (
    re.compile(r"<answer>", re.IGNORECASE),
    re.compile(r"####"),
    re.compile(r"^[^\S\n]*+a[^\S\n]*+:", re.IGNORECASE | re.MULTILINE),
    re.compile(
        r"\b(?:final\s+answer|answer|solution|result)\b(?:\s*\*\*)?(?:\s+(?:to|for|of)\s[^.\n:]{0,60})?\s*"
        r"(?::|\bis\b|\bare\b)(?:\s*\*\*)?(?:\s*:)?",
        re.IGNORECASE,
    ),
)
_TAGGED = re.compile(r"<answer>((?:(?!</?answer>).)*)</answer>", re.IGNORECASE | re.DOTALL)
_FINAL_ANSWER = re.compile(r"\bfinal\s+answer\s*(?::|is\b)", re.IGNORECASE)
_TEX_FORMULA = re.compile(
    r"\$\$((?:[^$]|\\\$)+?)(?<!\\)\$\$|(?<![\\\d])\$((?:\\\$|[^$\n])+?)(?<!\\)\$(?!\d)"
    r"|\\\[((?:(?!\\\[).)+?)\\\]|\\\(((?:(?!\\\().)+?)\\\)",
    re.DOTALL,
)
_EMPHASIS = " \t\r\n*_`"
_SHORT = 80  # characters of an answer that stands for itself on its line
_GOES_ON = re.compile(r"\s*(?:=|\\approx|≈|:|(?:is|are|equals|gives)\b)")
_PROSE = re.compile(r"(?<![\\a-zA-Z])[a-zA-Z]{2,}")
_UNSETTLED = re.compile(r"(?:not|between|at least|at most|either|neither|less|more|greater|fewer)\b", re.IGNORECASE)
_OR = re.compile("(?:or|and)[A-Z]?")
_FUNCTIONS = {"sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "sqrt", "pi", "arcsin", "arccos", "arctan"}
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?\$?(?:\d[\d,]{0,30}\d|\d)?\.?\d+(?:[/:]\d+)?(?:\s*\\?%|\s(?:hundred|thousand|million|billion)\b)?"
)
_REASON = re.compile(r"(?<=\d),?\s+(?:because|since|not|rather)\b.*")
_BOLD = re.compile(r"(?<=[\w=] )\*\*([^*\n]{1,80})\*\*(?!\s*:)")
_WRAPPED = re.compile(r"\\text(?:bf|it)?\{([^{}]*)\}")


def boxes(text: str) -> list[tuple[int, int, str]]:
    r"""Every complete `\boxed{…}` or `\fbox{…}` as (start, end, content), outermost only, in order.

    Braces nest; an escaped brace does not count. `\boxed 5` holds the one word that follows. A box that never closes
    is not a box.
    """
    closing = _closing_braces(text)
    found: list[tuple[int, int, str]] = []
    position = 0
    while match := _BOX.search(text, position):
        bare, start = match["bare"], match.end()
        end = start if bare else closing.get(start, -1) + 1
        if end:
            found.append((match.start(), end, bare.rstrip(".,;") if bare else text[start + 1 : end - 1]))
        position = max(start, end)
    return found


def last_boxed(text: str) -> str | None:
    r"""The content of the last box of the last `TAIL` characters, or None.

    Boxes that only separators or `and` part, as in `\boxed{1}, \boxed{2}`, are one answer: a list. After `or` the last
    one counts alone: it is another form of the same answer as often as another answer.
    """
    text = text[-TAIL:]
    found = boxes(text)
    found = [box for box in found if box[2].strip()] or found  # an empty one only says where an answer should stand
    if not found:
        return None
    inner = _joined(text, found)[-1][2]
    return (last_boxed(inner) or inner) if _BOX.search(inner) else inner


def boxed_or_tagged(text: str) -> str | None:
    r"""The content of the last box or of the last `<answer>…</answer>` of the last `TAIL` characters, whichever stands
    later; None where there is neither. It may have several lines. A `\text{}` around the whole is taken off."""
    text = text[-TAIL:]
    found, tagged = boxes(text), list(_TAGGED.finditer(text))
    boxed = not tagged or (found and found[-1][0] >= tagged[-1].start())
    answer = last_boxed(text) if boxed else tagged[-1][1].strip()
    wrapped = _WRAPPED.fullmatch(answer or "")
    return wrapped[1] if wrapped else answer


def final_answer(text: str) -> str | None:
    """The answer of a response that need not box it, or None.

    In this order: the last box (of the whole text, if its tail has none), unless a formula follows `final answer is`
    after it; what follows the last marker (`<answer>`, `####`, `A:`, `answer is`): the formula or the line that it
    introduces, or else the last formula or number there; the last formula; the last number of the last sentence that
    has one.
    """
    answer = last_boxed(text)
    if answer is None and (found := boxes(text[-SEARCHED_CHARACTERS:])):
        answer = found[-1][2].strip()[-TAIL:]
    text = _CALCULATION.sub("", text[-TAIL:])
    text = text.rpartition("</think>")[2].strip() or text
    if answer is not None:
        stated = list(_FINAL_ANSWER.finditer(text))
        after = text[stated[-1].end() :] if stated and stated[-1].start() > max(text.rfind(r"\boxed"), 0) else ""
        after = after.strip(_EMPHASIS)
        return _formula(after) or answer
    for marker in _MARKERS:
        places = list(marker.finditer(text))
        if places:
            rest = text[places[-1].end() :].strip(_EMPHASIS)
            if _UNSETTLED.match(rest):
                return rest.split("\n", 1)[0]
            line = _REASON.sub("", rest.split("\n", 1)[0]).strip(_EMPHASIS)
            if answer := _formula(rest) or _whole(line) or _last_number(line):
                return answer
    return (
        _last_formula(_formulas(text), text)
        or (_whole(text) if "\n" not in text.strip() else None)
        or _last_number(text)
    )


def _joined(text: str, spans: Iterable[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """With those of (start, end, content) that only separators part as one list, of each content once."""
    found: list[tuple[int, int, str]] = []
    for start, end, content in spans:
        content = content.strip()
        if found and not _JOINT.sub("", text[found[-1][1] : start]):
            start, _, before = found.pop()
            content = before if content in before.split(", ") else f"{before}, {content}"
        found.append((start, end, content))
    return found


def _formulas(text: str) -> list[tuple[int, int, str]]:
    spans = ((one.start(), one.end(), next(filter(None, one.groups()))) for one in _TEX_FORMULA.finditer(text))
    return _joined(text, spans)


def _formula(text: str) -> str | None:
    """The formula that a text begins with, unless it goes on, as in `$x$ is 5`; or else its paragraph's last."""
    text = text.split("\n\n", 1)[0]
    formulas = _formulas(text)
    if formulas and formulas[0][0] == 0 and not _GOES_ON.match(text, formulas[0][1]):
        return formulas[0][2]
    return _last_formula(formulas, text)


def _last_formula(formulas: list[tuple[int, int, str]], text: str) -> str | None:
    """The last formula; before it goes a later number, and before that one that the formula's chain arrives at."""
    if not formulas:
        return None
    _, end, formula = formulas[-1]
    numbers = _NUMBER.findall(text[end:])
    arrived = [one for one in _NUMBER.findall(formula.rpartition("=")[2])[:1] if "=" in formula and one in numbers]
    return arrived[0] if arrived else numbers[-1].replace("$", "") if numbers else formula


def _whole(line: str) -> str | None:
    """The line, where it is an answer as a whole: mathematics without prose, or one or two words."""
    line = _WRAPPED.sub(r"\1", re.sub(r"</[a-z]+>.*", "", line)).strip(_EMPHASIS).rstrip(".")
    words = [word for word in _PROSE.findall(line) if word not in _FUNCTIONS and not _OR.fullmatch(word)]
    if not line or len(line) > _SHORT or (words and re.search(r"[\d\\=]", line)) or len(words) > 2:
        return None
    return line.lstrip("$")


def _last_number(text: str) -> str | None:
    """The last number of the last line that has one; a bold one of that line goes before it."""
    line = next((line for line in reversed(text.split("\n")) if _NUMBER.search(line)), "")
    numbers = _NUMBER.findall(" ".join(_BOLD.findall(line))) or _NUMBER.findall(line)
    return numbers[-1].replace("$", "") if numbers else None


def _closing_braces(text: str) -> dict[int, int]:
    """Each opening brace's closing one, in one pass."""
    closing: dict[int, int] = {}
    open_braces: list[int] = []
    for brace in _BRACE.finditer(text):
        if brace[0] == "{":
            open_braces.append(brace.start())
        elif brace[0] == "}" and open_braces:
            closing[open_braces.pop()] = brace.start()
    return closing
