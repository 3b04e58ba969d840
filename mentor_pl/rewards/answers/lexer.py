r"""An answer as tokens: LaTeX, Unicode and plain text in one spelling, with all that only styles or spaces taken off.

    \dfrac{1}{2}   1/2 stays as it is   \mathbf{x}\,\text{ cm}    x⩽½
    \frac { 1 } { 2 }                   x  cm (upright)           x \leq \frac { 1 } { 2 }

What the tokens mean is the reader's business. Linear in the (bounded) text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from mentor_pl.rewards.answers.tokens import Token, Tokens, pair, with_arguments

MAX_ANSWER = 1500  # characters of an answer that are read as mathematics; longer ones are compared as strings
MAX_NESTING = 16  # brackets within brackets; deeper answers are compared as strings
_CACHED = 1024  # texts whose tokens are kept: a group of rollouts shares its reference


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


FUNCTIONS = word_set(
    """
    sin cos tan cot sec csc arcsin arccos arctan arccot sinh cosh tanh arcsinh arccosh arctanh ln log lg exp cis max
    min gcd lcm
    """
)
PLAIN_NAMES = FUNCTIONS | word_set(
    """
    binom frac sqrt pi alpha beta gamma delta epsilon theta lambda mu sigma phi omega cup cap infty times cdot leq
    geq neq
    """
)
_NAMES = {
    f"\\{name}": target
    for target, names in {
        "": "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr displaystyle textstyle scriptstyle "
        "limits nolimits displaylimits mathbf mathit mathcal mathtt mathnormal boldsymbol bm bold pmb underline "
        "overbrace underbrace ensuremath mathop mathbin mathstrut bf it rm sf tt cal large Large LARGE huge small "
        "normalsize checkmark blacksquare square boxed fbox newline hfill",
        r"\text": "mbox hbox textbf textit textrm textnormal textsf texttt textsc textup emph mathrm mathsf "
        "operatorname",
        r"\frac": "dfrac tfrac cfrac nicefrac sfrac", r"\binom": "dbinom tbinom", r"\leq": "le leqslant leqq",
        r"\geq": "ge geqslant geqq", r"\neq": "ne", "<": "lt", ">": "gt", r"\{": "lbrace", r"\}": "rbrace",
        "|": "mid vert lvert rvert", r"\emptyset": "varnothing", r"\setminus": "backslash", r"\cup": "bigcup cupdot",
        r"\lor": "vee", r"\land": "wedge", "*": "ast cdot times cdotp bullet", "/": "div", "(": "lparen",
        ")": "rparen", r"\sqrt": "surd", r"\infty": "infin", r"\choose": "brack", r"\;": "quad qquad",
        r"\to": "implies Rightarrow rightarrow longrightarrow mapsto iff Leftrightarrow", r"\dots": "ldots cdots dotsc",
        ",": "comma", ":": "colon ratio", r"\pmod": "mod", r"\approx": "simeq thickapprox sim", r"\mathbb": "Bbb",
        r"\phi": "varphi", r"\epsilon": "varepsilon", r"\theta": "vartheta", r"\sinh": "sh", r"\cosh": "ch",
        r"\tanh": "th", r"\arccot": "arcctg", r"\$": "pounds euro", r"\lnot": "neg",
    }.items()
    for name in names.split()
}  # fmt: skip
_NAMES |= {name: f"\\{name}" for name in PLAIN_NAMES} | dict.fromkeys(("inf", "infinity", "oo"), r"\infty")
for _other, _name in {"tg": "tan", "ctg": "cot", "cotg": "cot", "arctg": "arctan", "cosec": "csc"}.items():
    _NAMES |= {_other: f"\\{_name}", f"\\{_other}": f"\\{_name}"}
_PLAIN_ENVIRONMENTS = re.compile(r"(?:aligned|align|equation|gather|gathered|split|center|displaymath)\*?")
_SIGNS = {
    **dict.fromkeys("×⋅·•∙∗", "*"), **dict.fromkeys("÷∕⁄", "/"), **dict.fromkeys("≤⩽", r"\leq "),
    **dict.fromkeys("≥⩾", r"\geq "), **dict.fromkeys("′’", "'"), **dict.fromkeys("→⇒", r"\to "),
    **dict.fromkeys("…⋯", r"\dots "), **dict.fromkeys("\u200b\ufeff\u2061", ""),
    "−": "-", "≠": r"\neq ", "≈": r"\approx ", "±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "∪": r"\cup ",
    "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "º": "°", "∣": "|", "√": r"\sqrt ", "∛": r"\sqrt[3]",
    "∠": r"\angle ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "⟨": r"\langle ", "⟩": r"\rangle ",
    "∖": r"\setminus ", "∨": r"\lor ", "∧": r"\land ", "Ω": r"\Omega ", "µ": r"\mu ", "Å": r"\AA ", "ħ": r"\hbar ",
    "。": ".", "\x7f": " ", "¢": r"\text{cents}",
    # A backslash lost to a string escape: "\f" of \frac, "\t" of \text, "\b" of \binom, "\r" of \rho.
    "\x0crac": r"\frac", "\text": r"\text", "\times": r"\times", "\tan": r"\tan", "\theta": r"\theta",
    "\x08inom": r"\binom", "\x08egin": r"\begin", "\rho": r"\rho", "\right": r"\right",
    "<=": r"\leq ", ">=": r"\geq ", "!=": r"\neq ", "**": "^", "==": "=", r"\'": "'", r"\prime": "'",
}  # fmt: skip
_WRAPPED = {"<super>": "^{@}", "<sub>": "_{@}", "<fraction>": r"\frac{@}"}
_CATEGORIES = {"Sc": r"\$", "Pd": "-", "Zs": " ", "Cc": " "}
_SIGN = re.compile("|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True)))
_SCRIPTS = re.compile(r"([\^_])\{([^{}]*)\}\1\{(?=[^{}]*\})")
_LEXEME = re.compile(
    r"(?P<space>(?:\s|~|\\[,;: >\n/]|\\(?=\s|$))+)|(?P<thin>\\!)|(?P<math>\\[()\[\]]|(?<!\\)\$)"
    r"|(?P<number>[1-9]\d{0,2}(?:(?:,|\{,\}|\\[,;:]|,\\!\s*|\\!,\\!)\d{3})+(?:\.\d+)?(?!\d)|[1-9]\d?(?:,\d\d)+,\d{3}(?!\d)"
    r"|[1-9]\d{0,2}(?:(?: |\\ |~|_)\d{3})+(?!\d)|[1-9]\d{0,2}(?:\.\d{3}){2,}(?!\d)"
    r"|\d+\.(?=\s*\\(?:overline|bar|dot))|(?:\d+\.\d+|\.\d+|\d+)(?:[eE][-+]?\d{1,3}(?!\d))?)"
    r"|\\begin\s*\{(?P<begin>[a-zA-Z]+\*?)\}(?:\s*\{[lcr|\s]*\})?|\\end\s*\{(?P<end>[a-zA-Z]+\*?)\}"
    r"|(?P<token>\\(?:[a-zA-Z]+|.)|(?:or|and)(?=[A-Z])|[^\W\d_]+|.)",
    re.DOTALL,
)
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z(){}[\]])")
_REWRITTEN = [
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"(\\(?:vec|mathbf|boldsymbol|bm|nabla)(?![a-zA-Z])[^\\]{0,6})\\times(?![a-zA-Z])", r"\1\\cross "),
        (r"(?:\^\s*\{?|(?<=\d))\s*\\(?:circ|degree|textcirc|textdegree)(?![a-zA-Z])\s*\}?", "°"),
        (r"\^\s*\{?\s*((?:'\s*)+)\}?", r"\1"),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)|(?<=\d)\s+[xX]\s+(?=\d)", "*"),
        (r"\\(?:color|textcolor|[hv]space|h?phantom|label|tag|raisebox)\s*(?:\{[^{}]*\})?", ""),
        (r"\\left\s*<", r"\\langle "),
        (r"\\right\s*>", r"\\rangle "),
        (r"\\(?:left|right)\s*\.", ""),
        (r"\\not\s*=", r"\\neq "),
        (r"(?<=\d)\\mathrm\{([eE])\}\{?(?=[-+]?\d)", r"\1"),
        (r"per\s+cent(?![a-z])", "percent"),
        (r"(?<=[\d}])\s*(k?m/(?:s|h|min))(?![a-zA-Z])", r"\\text{ \1}"),
    )
]
_WORD = re.compile(r"\\\\|\\?[a-zA-Z]+")
_TWO_NUMBERS = re.compile(r"\d+,\d")
_MARKS = re.compile(r"\{,\}|\\[,;:! ]|[, ~_]")
_PAIRS = {")": ("(", "["), "]": ("(", "["), "}": ("{",), r"\}": (r"\{",)}
_PAIRS |= {rf"\r{name}": (rf"\l{name}",) for name in ("angle", "floor", "ceil")}
_OPENING = frozenset(opening for openings in _PAIRS.values() for opening in openings)


@lru_cache(maxsize=_CACHED)
def tokenise(text: str) -> Tokens:
    """The tokens of a text; none where it is too long or too deep to be read."""
    if len(text) > MAX_ANSWER:
        return ()
    text = _spelled(text)
    if r"\begin" not in text:  # rows end with two backslashes; elsewhere a string escape has doubled them
        text = _DOUBLED.sub(r"\\", text)
    for pattern, spelling in _REWRITTEN:
        text = pattern.sub(spelling, text)
    return _Lexer(_WORD.sub(_renamed, text)).tokens()


def _renamed(word: re.Match[str]) -> str:
    """A command or a word in its one spelling."""
    name, behind = _NAMES.get(word[0], word[0]), word.string[word.end() : word.end() + 1]
    return f"{name} " if name[-1:].isalpha() and behind.isalpha() else name


@dataclass
class _Bracket:
    """An open bracket; the outermost is none. `upright`: whether what stands in it is."""

    opening: str
    gap: bool
    upright: bool
    inside: list[Token] = field(default_factory=list)


class _Lexer:
    """A pass over a text."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0
        self.gap = self.styled = False  # styled: a command for upright text stands before
        self.open = [_Bracket("", False, False)]

    def tokens(self) -> Tokens:
        """All of them."""
        while match := _LEXEME.match(self.text, self.place):
            self.place = match.end()
            kind, text = match.lastgroup or "", match.group()
            if kind == "space":
                self.gap = True
            elif text == r"\text":
                self.styled = True
            elif kind in ("begin", "end"):
                self.add(rf"\{kind}{{{match[kind]}}}")
            elif kind == "number":
                self.number(match.start(), text)
            elif kind == "token":
                self.add(text)
            if len(self.open) > MAX_NESTING + 1:
                return ()
        while len(self.open) > 1:
            self.leave_open()
        return tuple(with_arguments(self.open[0].inside))

    def add(self, spelling: str) -> None:
        """A token: one by itself, or a bracket, which opens a pair or closes one."""
        gap, upright = self.gap, self.open[-1].upright or self.styled
        self.gap = self.styled = False
        openings = _PAIRS.get(spelling) or (spelling.replace(r"\end{", r"\begin{"),)
        if spelling in _OPENING or spelling.startswith(r"\begin{"):
            self.open.append(_Bracket(spelling, gap, upright))
        elif spelling not in openings and any(bracket.opening in openings for bracket in self.open):
            while self.open[-1].opening not in openings:
                self.leave_open()
            self.close(self.open.pop(), spelling)
        elif spelling != "}":
            self.open[-1].inside.append(Token(spelling, gap, upright))

    def close(self, bracket: _Bracket, closing: str) -> None:
        """A pair of brackets; the rows of an environment that only arranges formulas are a list."""
        if _PLAIN_ENVIRONMENTS.fullmatch(closing[5:-1]):
            rows = (Token(",") if token == "\\\\" else token for token in bracket.inside if token != "&")
            self.open[-1].inside += rows
        else:
            inside = with_arguments(bracket.inside)
            self.open[-1].inside.append(pair(bracket.opening, inside, closing, bracket.gap, bracket.upright))

    def leave_open(self) -> None:
        """A bracket that is never closed is a token like any other; a brace is none."""
        bracket = self.open.pop()
        self.open[-1].inside += [Token(bracket.opening, bracket.gap)] * (bracket.opening != "{") + bracket.inside

    def number(self, start: int, text: str) -> None:
        """A number without the marks between its thousands; in brackets a comma without a space parts two numbers."""
        if _TWO_NUMBERS.match(text) and any(bracket.opening in ("(", "[", r"\{") for bracket in self.open):
            text = text.partition(",")[0]
            self.place = start + len(text)
        text = _MARKS.sub("", text)
        self.add(text.replace(".", "") if text.count(".") > 1 else text)


def _spelled(text: str) -> str:
    """Unicode as LaTeX: signs by a table, letters and digits of other styles by what Unicode says they stand for."""
    text = re.sub(r"√\s*(\d+)", r"\\sqrt{\1}", text)
    text = _SIGN.sub(lambda match: _SIGNS[match.group()], text)
    text = "".join(character if character.isascii() or character == "°" else _ascii(character) for character in text)
    while (joined := _SCRIPTS.sub(r"\1{\2", text)) != text:
        text = joined
    return text


def _ascii(character: str) -> str:
    plain = unicodedata.normalize("NFKC", character)
    plain = "".join(str(unicodedata.digit(c)) if c.isdigit() else _greek(c) for c in plain)
    wrapped = _WRAPPED.get(unicodedata.decomposition(character).partition(" ")[0], "@")
    return wrapped.replace("@", plain.replace("⁄", "}{").replace("−", "-"))


def _greek(character: str) -> str:
    words = unicodedata.name(character, "").split()
    if len(words) == 4 and words[0] == "GREEK" and words[2] == "LETTER":
        name = words[3].lower().replace("lamda", "lambda")
        return "\\" + (name if words[1] == "SMALL" else name.capitalize()) + " "
    return _CATEGORIES.get(unicodedata.category(character), character)


def same_text(answer: str, reference: str) -> bool:
    """Whether the two are spelled alike, styles and spaces aside, words in any case."""
    if answer == reference:
        return bool(answer.strip())
    ours, theirs = tokenise(answer), tokenise(reference)
    return bool(_spelling(ours)) and _spelling(ours) == _spelling(theirs)


def _spelling(tokens: Sequence[str]) -> list[str]:
    end = len(tokens)
    while end and tokens[end - 1] in (".", ",", ";", ":"):
        end -= 1
    words = len("".join(tokens[:1])) > 1 and all(token.isalpha() for token in tokens[:end])
    return [token.casefold() if words else token for token in tokens[:end]]
