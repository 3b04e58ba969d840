r"""An answer as tokens: LaTeX, Unicode and plain text in one spelling, with all that only styles or spaces taken off.

    \dfrac{1}{2}   1/2 stays as it is   \mathbf{x}\,\text{ cm}    x⩽½
    \frac { 1 } { 2 }                   x  cm (upright)           x \leq \frac { 1 } { 2 }

What the tokens mean is the reader's business. Linear in the (bounded) text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from mentor_pl.rewards.answers.tokens import Token, readable, with_arguments

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
_SAME = {
    name: target
    for target, names in {
        r"\frac": "dfrac tfrac cfrac nicefrac sfrac", r"\binom": "dbinom tbinom", r"\leq": "le leqslant leqq",
        r"\geq": "ge geqslant geqq", r"\neq": "ne", "<": "lt", ">": "gt", r"\{": "lbrace", r"\}": "rbrace",
        "|": "mid vert lvert rvert", r"\emptyset": "varnothing", r"\setminus": "backslash", r"\cup": "bigcup cupdot",
        r"\lor": "vee", r"\land": "wedge", "*": "ast cdot times cdotp bullet", "/": "div", "(": "lparen",
        ")": "rparen", r"\sqrt": "surd", "\\tan": "tg", r"\cot": "ctg cotg", r"\arctan": "arctg", r"\infty": "infin",
        r"\to": "implies Rightarrow rightarrow longrightarrow mapsto iff Leftrightarrow", r"\dots": "ldots cdots dotsc",
        r"\circ": "degree textdegree textcirc", ",": "comma", ":": "colon ratio", r"\pmod": "mod", r"\,": "quad qquad",
        r"\approx": "simeq thickapprox sim", r"\mathbb": "Bbb", r"\phi": "varphi",
        r"\epsilon": "varepsilon", r"\theta": "vartheta", "'": "'", r"\csc": "cosec", r"\sinh": "sh", r"\cosh": "ch",
        r"\tanh": "th", r"\arccot": "arcctg", r"\$": "pounds euro", r"\lnot": "neg", r"\choose": "brack",
    }.items()
    for name in names.split()
}  # fmt: skip
_OTHER_NAMES = {name: _SAME[name] for name in ("tg", "ctg", "cotg", "arctg", "cosec")}
_OTHER_NAMES |= dict.fromkeys(("inf", "infinity", "oo"), r"\infty")
_UPRIGHT = word_set(
    """
    text mbox hbox textbf textit textrm textnormal textsf texttt textsc mathrm mathsf operatorname textup emph
    """
)
_STYLES = _UPRIGHT | word_set(
    """
    left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr displaystyle textstyle scriptstyle limits
    nolimits mathbf mathit mathcal mathtt mathnormal boldsymbol bm bold pmb underline overbrace underbrace
    ensuremath mathop mathbin mathstrut bf it rm sf tt cal large Large LARGE huge small normalsize checkmark
    blacksquare square boxed fbox newline hfill displaylimits
    """
)
_WITH_ARGUMENT = word_set("color textcolor hspace vspace phantom hphantom label tag raisebox")
_PLAIN_ENVIRONMENTS = re.compile(r"(?:aligned|align|equation|gather|gathered|split|center|displaymath)\*?")
_SIGNS = {
    "−": "-", "×": "*", "⋅": "*", "·": "*", "•": "*", "∙": "*", "∗": "*", "÷": "/", "∕": "/",
    "⁄": "/", "≤": r"\leq ", "≥": r"\geq ", "⩽": r"\leq ", "⩾": r"\geq ", "≠": r"\neq ", "≈": r"\approx ",
    "±": r"\pm ", "∓": r"\mp ", "∞": r"\infty ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ",
    "°": r"^\circ ", "º": r"^\circ ", "′": "'", "’": "'", "∣": "|", "√": r"\sqrt ", "∛": r"\sqrt[3]", "∠": r"\angle ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "⟨": r"\langle ", "⟩": r"\rangle ", "∖": r"\setminus ",
    "→": r"\to ", "⇒": r"\to ", "∨": r"\lor ", "∧": r"\land ", "Ω": r"\Omega ", "µ": r"\mu ", "Å": r"\AA ",
    "ħ": r"\hbar ",
    "…": r"\dots ", "⋯": r"\dots ", "。": ".", "\u200b": "", "\ufeff": "", "\u2061": "", "\x7f": " ",
    "¢": r"\text{cents}",
    # A backslash lost to a string escape: "\f" of \frac, "\t" of \text, "\b" of \binom, "\r" of \rho.
    "\x0crac": r"\frac", "\text": r"\text", "\times": r"\times", "\tan": r"\tan", "\theta": r"\theta",
    "\x08inom": r"\binom", "\x08egin": r"\begin", "\rho": r"\rho", "\right": r"\right",
}  # fmt: skip
_CATEGORIES = {"Sc": r"\$", "Pd": "-", "Zs": " ", "Cc": " "}
_SIGN = re.compile("|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True)))
_SCRIPTS = re.compile(r"([\^_])\{([^{}]*)\}\1\{(?=[^{}]*\})")
_LEXEME = re.compile(
    r"(?P<space>(?:\s|~|\\[,;: >\n/]|\\(?=\s|$))+)|(?P<thin>\\!)|(?P<math>\\[()\[\]]|(?<!\\)\$)"
    r"|(?P<number>[1-9]\d{0,2}(?:(?:,|\{,\}|\\[,;:]|,\\!\s*|\\!,\\!)\d{3})+(?:\.\d+)?(?!\d)|[1-9]\d?(?:,\d\d)+,\d{3}(?!\d)"
    r"|[1-9]\d{0,2}(?:(?: |\\ |~|_)\d{3})+(?!\d)|[1-9]\d{0,2}(?:\.\d{3}){2,}(?!\d)"
    r"|\d+\.(?:\d+|(?=\s*\\(?:overline|bar|dot)))|\.\d+|\d+)"
    r"|\\begin\s*\{(?P<begin>[a-zA-Z]+\*?)\}(?:\s*\{[lcr|\s]*\})?|\\end\s*\{(?P<end>[a-zA-Z]+\*?)\}"
    r"|(?P<command>\\(?:[a-zA-Z]+|.))|(?P<letters>(?:or|and)(?=[A-Z])|[^\W\d_]+)|(?P<sign><=|>=|!=|\*\*|==|.)",
    re.DOTALL,
)
_DOUBLED = re.compile(r"\\\\(?=[a-zA-Z(){}[\]])")
_TIMES = re.compile(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))|(?<=\d)\s+[xX]\s+(?=\d)")
_DEGREES = re.compile(r"(?<=\d)\s*\\(?:degree|circ|textdegree|textcirc)(?![a-zA-Z])")
_CROSS = re.compile(
    r"(\\(?:vec|mathbf|boldsymbol|bm|nabla)(?![a-zA-Z])[^\\]{0,6})\\times(?![a-zA-Z])"
)  # does not commute
_ARGUMENT = re.compile(r"\s*\{[^{}]*\}")
_ANGLE = re.compile(r"\s*[.<>]")
_EQUALS = re.compile(r"\s*=")
_TWO_NUMBERS = re.compile(r"\d+,\d")
_MARKS = re.compile(r"\{,\}|\\[,;:! ]|[, ~_]")
_SIGN_NAMES = {"<=": r"\leq", ">=": r"\geq", "!=": r"\neq", "**": "^", "==": "="}


@lru_cache(maxsize=_CACHED)
def tokenise(text: str) -> tuple[Token, ...]:
    """The tokens of a text; a single one where it is too long or too deep to be read."""
    text = text if text.isascii() and text.isprintable() else _spelled(text)
    if not readable(text):
        return (Token(text.strip()),)
    if r"\begin" not in text:  # rows end with two backslashes; elsewhere a string escape has doubled them
        text = _DOUBLED.sub(r"\\", text)
    text = _CROSS.sub(r"\1\\cross ", text)
    return with_arguments(_Lexer(_TIMES.sub("*", _DEGREES.sub(r"^\\circ ", text))).tokens())


class _Lexer:
    """A pass over a text."""

    def __init__(self, text: str) -> None:
        self.text, self.place = text, 0
        self.found: list[Token] = []
        self.gap = self.styled = self.upright = False  # styled: a command for upright text stands before
        self.modes: list[bool] = []  # of the open braces: whether each stands in upright text
        self.arranging: list[bool] = []  # of the open environments: whether each only arranges formulas
        self.brackets = 0

    def tokens(self) -> list[Token]:
        """All of them."""
        while self.place < len(self.text):
            match = _LEXEME.match(self.text, self.place)
            assert match is not None  # the last alternative takes any character
            self.place = match.end()
            kind, text = match.lastgroup or "", match.group()
            if kind in ("begin", "end"):
                self.environment(kind, match[kind])
            elif kind == "space":
                self.gap = True
            elif text in ("&", "\\\\") and self.arranging[-1:] == [True]:  # rows of formulas are a list
                self.found += [Token(",")] if text != "&" else []
            elif kind == "command":
                self.command(text, text[1:])
            elif kind == "number":
                self.number(match.start(), text)
            elif kind == "letters":
                self.letters(text)
            elif kind == "sign" or (self.upright and text in (r"\(", r"\[")):
                self.add(_SIGN_NAMES.get(text, text))
        return self.found

    def add(self, spelling: str, upright: bool = False) -> None:
        """A token, which may open or close a bracket."""
        self.brackets += (spelling in ("(", "[", r"\{")) - (spelling in (")", "]", r"\}"))
        if spelling == "{":
            self.modes.append(self.upright)
            self.upright, self.styled = self.upright or self.styled, False
        elif spelling == "}":
            self.upright = self.modes.pop() if self.modes else False
        self.found.append(Token(spelling, self.gap, self.upright or self.styled or upright))
        self.gap = self.styled = False

    def environment(self, kind: str, name: str) -> None:
        """Its beginning or its end, which is a token unless it only arranges formulas."""
        plain = bool(_PLAIN_ENVIRONMENTS.fullmatch(name))
        self.arranging = [*self.arranging, plain] if kind == "begin" else self.arranging[:-1]
        if not plain:
            self.add(rf"\{kind}{{{name}}}")

    def command(self, text: str, name: str) -> None:
        """A command, in its one spelling; one for style or space is none."""
        if name in _WITH_ARGUMENT:
            argument = _ARGUMENT.match(self.text, self.place)
            self.place = argument.end() if argument else self.place
        elif name in ("left", "right") and (bracket := _ANGLE.match(self.text, self.place)):
            self.place = bracket.end()
            for angle in {"<": [r"\langle"], ">": [r"\rangle"]}.get(bracket[0].strip(), []):
                self.add(angle)
        elif name in _STYLES:
            self.styled = name in _UPRIGHT
        elif name == "not" and (equals := _EQUALS.match(self.text, self.place)):
            self.place = equals.end()
            self.add(r"\neq")
        elif _SAME.get(name) == r"\,":
            self.gap = True
        else:
            self.add(_SAME.get(name, text))

    def number(self, start: int, text: str) -> None:
        """A number without the marks between its thousands; in brackets a comma without a space parts two numbers."""
        if self.brackets > 0 and _TWO_NUMBERS.match(text):
            text = text.partition(",")[0]
            self.place = start + len(text)
        text = _MARKS.sub("", text)
        self.add(text.replace(".", "") if text.count(".") > 1 else text)

    def letters(self, text: str) -> None:
        """A run of letters: a word, a command in plain text, or letters side by side."""
        if text in ("min", "sec") and self.gap and self.found and self.found[-1][-1].isdigit():
            self.add(text, upright=True)
        elif text in PLAIN_NAMES:
            self.add("\\" + text)
        else:
            self.add(_OTHER_NAMES.get(text, text))


def _spelled(text: str) -> str:
    """Unicode as LaTeX: signs by a table, letters and digits of other styles by what Unicode says they stand for."""
    text = re.sub(r"√\s*(\d+)", r"\\sqrt{\1}", text)
    text = _SIGN.sub(lambda match: _SIGNS[match.group()], text)
    text = "".join(character if character.isascii() else _ascii(character) for character in text)
    while (joined := _SCRIPTS.sub(r"\1{\2", text)) != text:
        text = joined
    return text


def _ascii(character: str) -> str:
    tag, _, rest = unicodedata.decomposition(character).partition(" ")
    plain = (
        unicodedata.normalize("NFKC", character) if (tag.startswith("<") and tag != "<compat>") or rest else character
    )
    plain = "".join(str(unicodedata.digit(c)) if c.isdigit() else _greek(c) for c in plain)
    if tag in ("<super>", "<sub>"):
        return f"{'^' if tag == '<super>' else '_'}{{{plain.replace('−', '-')}}}"
    if tag == "<fraction>":
        top, _, bottom = plain.partition("⁄")
        return rf"\frac{{{top}}}{{{bottom}}}"
    return plain


def _greek(character: str) -> str:
    words = unicodedata.name(character, "").split()
    if len(words) == 4 and words[0] == "GREEK" and words[2] == "LETTER":
        name = words[3].lower().replace("lamda", "lambda")
        return "\\" + (name if words[1] == "SMALL" else name.capitalize()) + " "
    category = unicodedata.category(character)
    return _CATEGORIES.get(category, character)


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
    in_words = all(token.isalpha() for token in tokens[:end]) and end and len(tokens[0]) > 1
    return [token.casefold() if in_words else token for token in tokens[:end]]
