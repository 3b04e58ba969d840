r"""Where a response's answer stands: in its last `\boxed{}`, or, for text of other habits, behind a marker.

All scanning is linear in the text, so it is safe on whatever a model writes.
"""

from __future__ import annotations

import re

TAIL = 4000  # characters of a response that are scored; answers stand at its end
SEARCHED_CHARACTERS = (
    250_000  # characters at a text's end that are searched for any box at all: some 30 ms where all are braces
)

_BOX_OPENS = re.compile(r"\\(?:boxed|fbox)\s*")
_BARE = re.compile(r"[^\s${}\\]+")
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
_TAG = re.compile(r"<(/?)answer>", re.IGNORECASE)
_FINAL_ANSWER = re.compile(r"\bfinal\s+answer\s*(?::|is\b)", re.IGNORECASE)
_TEX_FORMULA = re.compile(
    r"\$\$((?:[^$]|\\\$)+?)(?<!\\)\$\$|(?<![\\\d])\$((?:\\\$|[^$\n])+?)(?<!\\)\$(?!\d)"
    r"|\\\[((?:(?!\\\[).)+?)\\\]|\\\(((?:(?!\\\().)+?)\\\)",
    re.DOTALL,
)
_EMPHASIS = " \t\r\n*_`"
_SHORT = 80  # characters of an answer that stands for itself on its line
_JOINTS = re.compile("(?:" + _JOINT.pattern.replace("$", "", 1) + ")+")  # a dollar opens the next formula
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
    while match := _BOX_OPENS.search(text, position):
        start, inner = match.start(), match.end()
        if inner < len(text) and text[inner] == "{":
            end = closing.get(inner)
            position = inner + 1 if end is None else end + 1
            if end is not None:
                found.append((start, end + 1, text[inner + 1 : end]))
        else:
            position = inner
            bare = _BARE.match(text, inner)
            if bare and inner > match.start() + len(match.group().rstrip()):
                position = bare.end()
                found.append((start, bare.end(), bare.group().rstrip(".,;")))
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
    group = [found[-1]]
    for box in reversed(found[:-1]):
        if _JOINT.sub("", text[box[1] : group[0][0]]):
            break
        group.insert(0, box)
    contents = list(dict.fromkeys(content.strip() for _, _, content in group))
    inner = contents[-1] if len(contents) == 1 else ", ".join(contents)
    nested = last_boxed(inner) if "\\boxed" in inner or "\\fbox" in inner else None
    return inner if nested is None else nested


def boxed_or_tagged(text: str) -> str | None:
    r"""The content of the last box or of the last `<answer>…</answer>` of the last `TAIL` characters, whichever stands
    later; None where there is neither. It may have several lines. A `\text{}` around the whole is taken off."""
    text = text[-TAIL:]
    found, opened, tagged = boxes(text), None, None
    for tag in _TAG.finditer(text):
        if not tag[1]:
            opened = tag.end()
        elif opened is not None:
            tagged, opened = (opened, tag.start()), None
    if tagged is None or (found and found[-1][0] >= tagged[0]):
        answer = last_boxed(text)
    else:
        answer = text[slice(*tagged)].strip()
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
        return _leading(after) or _last_formula(after.split("\n\n", 1)[0]) or answer
    for marker in _MARKERS:
        places = list(marker.finditer(text))
        if places:
            rest = text[places[-1].end() :].strip(_EMPHASIS)
            if _UNSETTLED.match(rest):
                return rest.split("\n", 1)[0]
            line = _REASON.sub("", rest.split("\n", 1)[0]).strip(_EMPHASIS)
            answer = _leading(rest) or _last_formula(rest.split("\n\n", 1)[0]) or _whole(line) or _last_number(line)
            if answer:
                return answer
    return _last_formula(text) or (_whole(text) if "\n" not in text.strip() else None) or _last_number(text)


def _leading(text: str) -> str | None:
    """The formulas that the text begins with, unless it goes on to say what they are: `$x$ is 5`."""
    contents, position = [], 0
    while match := _TEX_FORMULA.match(text, position):
        contents.append(next(group for group in match.groups() if group is not None).strip())
        joint = _JOINTS.match(text, match.end())
        position = joint.end() if joint else match.end()
    return ", ".join(contents) if contents and not _GOES_ON.match(text, position) else None


def _whole(line: str) -> str | None:
    """The line, where it is an answer as a whole: mathematics without prose, or one or two words."""
    line = _WRAPPED.sub(r"\1", re.sub(r"</[a-z]+>.*", "", line)).strip(_EMPHASIS).rstrip(".")
    words = [word for word in _PROSE.findall(line) if word not in _FUNCTIONS and not _OR.fullmatch(word)]
    if not line or len(line) > _SHORT or (words and re.search(r"[\d\\=]", line)) or len(words) > 2:
        return None
    return line.lstrip("$")


def _last_formula(text: str) -> str | None:
    """The last formula, with those that only separators part from it, as one list; a later number goes before it."""
    formulas = [(m.start(), m.end(), next(g for g in m.groups() if g is not None)) for m in _TEX_FORMULA.finditer(text)]
    if not formulas:
        return None
    group = [formulas[-1]]
    after = text[group[0][1] :]
    number = _last_number(after)
    if number is not None:
        arrived = _NUMBER.search(group[0][2].rpartition("=")[2]) if "=" in group[0][2] else None
        return arrived[0] if arrived and arrived[0] in _NUMBER.findall(after) else number
    for formula in reversed(formulas[:-1]):
        if _JOINT.sub("", text[formula[1] : group[0][0]]):
            break
        group.insert(0, formula)
    return ", ".join(content.strip() for _, _, content in group)


def _last_number(text: str) -> str | None:
    """The last number of the last line that has one; a bold one of that line goes before it."""
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return None
    line = text[text.rfind("\n", 0, numbers[-1].start()) + 1 :].split("\n", 1)[0]
    bold = [number for span in _BOLD.findall(line) for number in _NUMBER.findall(span)]
    return (bold[-1] if bold else numbers[-1].group()).replace("$", "")


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
