"""What must hold of any answer, over answers that hypothesis makes: the same ones in every run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mentor_pl.rewards.answers.answer import Answer, Spelled
from mentor_pl.rewards.answers.equality import equal, grade_request, same
from mentor_pl.rewards.answers.formula import FormulaReader
from mentor_pl.rewards.answers.functions import Unreadable
from mentor_pl.rewards.answers.lexer import tokenise, word_set
from mentor_pl.rewards.answers.reader import read
from mentor_pl.rewards.answers.rules import Conventions
from mentor_pl.rewards.answers.tokens import compact
from mentor_pl.rewards.pool.pool import Failure, WorkerPool

DEFAULT = Conventions()
# Decimals and a tolerance have a side that they are rounded on, and a letter's text is no key: not symmetric by intent.
SYMMETRIC = Conventions(decimals="exact", letters="require")
SPACE = "\0"  # in made answers: white space may stand here


def fuzzed(examples: int) -> settings:
    """Deterministic, and without a clock."""
    return settings(max_examples=examples, derandomize=True, deadline=None, database=None)


def joined(template: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The template with a made part for each `@`."""
    return st.tuples(*parts).map(
        lambda made: "".join(a + b for a, b in zip(template.split("@"), (*made, ""), strict=True))
    )


INTEGER = st.integers(0, 12).map(str)
NUMBER = st.one_of(
    INTEGER,
    INTEGER.map("-{}".format),
    st.sampled_from(["0.5", "0.25", "2.0", "1{,}000", "1,000", "1.5e3", "33.333333", r"0.\overline{3}", "1 1/2"]),
    joined(r"\frac{@}{@}", INTEGER, st.integers(1, 6).map(str)),
    joined("@/@", INTEGER, st.integers(1, 6).map(str)),
)
LETTER = st.sampled_from(["x", "y", "n", r"\pi", r"\alpha", "a_1", "e", "i"])


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        joined(f"@{SPACE}+{SPACE}@", inner, inner),
        joined(f"({SPACE}@{SPACE}-{SPACE}@{SPACE})", inner, inner),
        joined(rf"@{SPACE}\cdot{SPACE} @", NUMBER, LETTER),
        joined(rf"\sqrt{{{SPACE}@}}", inner),
        joined("(@)^{@}", inner, st.sampled_from(["2", "-1", "3", "n"])),
        joined(r"\frac{@}{@}", inner, LETTER),
        joined("@(@)", st.sampled_from([r"\sin", r"\ln", r"\log_2", r"\cos"]), inner),
    )


FORMULA = st.recursive(st.one_of(NUMBER, LETTER), _grown, max_leaves=4)
WORD = st.sampled_from([r"\text{red}", r"\text{Friday}", r"\text{no solution}", "twelve", "two thirds", r"\text{(B)}"])
UNIT = st.sampled_from([r"\text{ cm}", r"\text{ m/s}^2", r"^\circ", r"\%", r"\text{ apples}", r" \text{ square feet}"])
RATIO = joined("@:@", st.integers(1, 4).map(str), st.integers(1, 4).map(str))
ANSWER = st.one_of(
    FORMULA,
    WORD,
    joined("@@", NUMBER, UNIT),
    joined(r"\$@", NUMBER),
    joined(f"({SPACE}@,{SPACE} @{SPACE})", FORMULA, NUMBER),
    joined(f"@@, @{SPACE}@", st.sampled_from("(["), NUMBER, NUMBER, st.sampled_from(")]")),
    joined(r"(-\infty, @) \cup [@, \infty)", NUMBER, NUMBER),
    joined(rf"\{{{SPACE}@, @{SPACE}\}}", NUMBER, FORMULA),
    joined(f"@, {SPACE}@", FORMULA, FORMULA),
    joined(r"@ \text{ and } @", NUMBER, NUMBER),
    joined(
        f"@{SPACE}@{SPACE} @", st.sampled_from("xy"), st.sampled_from(["=", "<", r"\geq", r"\neq", r"\in"]), FORMULA
    ),
    joined(r"@ \pmod{@}", INTEGER, st.sampled_from("57")),
    RATIO,
    joined(r"\begin{pmatrix} @ & @ \\ @ & @ \end{pmatrix}", NUMBER, LETTER, NUMBER, NUMBER),
)
PLAIN = ANSWER.map(lambda made: made.replace(SPACE, ""))
PAIR = st.one_of(
    st.tuples(ANSWER, ANSWER),
    ANSWER.map(lambda made: (made, made)),
    NUMBER.map(lambda made: (made, f"x = {made}")),
    st.tuples(NUMBER, NUMBER),
)
# Text that nobody would write: of any characters, and of pieces of LaTeX in any order.
SIGNS = "(){}[]|,;:=<>^_!'&%$#~+-*/. \\½√²٣\u202e\ud800\x00"
COMMANDS = (
    r"\{ \} \frac \sqrt \binom \left \right. \text{ \begin{pmatrix} \end{array} \sin \overline \pm \cup \in \circ \over"
)
PIECES = [*SIGNS, *sorted(word_set(COMMANDS)), *sorted(word_set(r"\pmod \infty \$ x 12 1. cm mod and percent the e5"))]
NOISE = st.one_of(st.text(max_size=30), st.lists(st.sampled_from(PIECES), max_size=14).map("".join))


@fuzzed(200)
@given(PLAIN)
def test_every_answer_equals_itself_by_its_spelling_and_by_what_it_is_read_as(text: str) -> None:
    assert equal(text, text, DEFAULT)
    answer = read(text)
    if type(answer) not in (Answer, Spelled):
        assert same(answer, replace(answer, tokens=()), DEFAULT)


@fuzzed(400)
@given(PAIR)
@example(("2:4", "1:2"))
@example((r"50\%", "0.5"))
def test_equality_is_symmetric_where_no_side_is_rounded(pair: tuple[str, str]) -> None:
    ours, theirs = (text.replace(SPACE, "") for text in pair)
    assert equal(ours, theirs, SYMMETRIC) is equal(theirs, ours, SYMMETRIC)


STYLES = {
    "spaces": lambda made: f"  {made.replace(SPACE, '  ')} ",
    "thin spaces": lambda made: made.replace(SPACE, r"\, "),
    "displaystyle": lambda made: rf"\displaystyle {made}",
    "left and right": lambda made: made.replace("(", r"\left(").replace(")", r"\right)"),
    "bold": lambda made: rf"\mathbf{{{made}}}",
    "dollars": lambda made: f"${made}$",
    "full stop": lambda made: f"{made}.",
}


@pytest.mark.parametrize("style", STYLES)
@fuzzed(120)
@given(pair=PAIR)
@example(pair=("1 1/2", "3/2"))
@example(pair=("a_1", "a_1"))
def test_spaces_styles_and_a_full_stop_change_no_verdict(style: str, pair: tuple[str, str]) -> None:
    ours, theirs = (text.replace(SPACE, "") for text in pair)
    verdict = equal(ours, theirs, DEFAULT)
    styled = [STYLES[style](text).replace(SPACE, "") for text in pair]
    assert equal(styled[0], theirs, DEFAULT) is verdict
    assert equal(ours, styled[1], DEFAULT) is verdict


@fuzzed(500)
@given(NOISE)
def test_any_text_has_tokens_that_a_formula_is_read_from_or_not(text: str) -> None:
    tokens = tokenise(text)
    assert all(tokens)
    try:
        reader = FormulaReader(tokens, units=True)
        reader.sum()
    except (Unreadable, RecursionError):
        return
    assert compact(tokens).startswith(compact(reader.tokens[: reader.place]))  # from the front, nothing left out


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    built = WorkerPool(f"{grade_request.__module__}:{grade_request.__name__}", workers=2, timeout=0.5)
    yield built
    built.close()


@fuzzed(5)
@given(pairs=st.lists(st.tuples(NOISE, st.one_of(PLAIN, NOISE)), min_size=20, max_size=30))
def test_whatever_is_graded_comes_back_as_a_verdict(pool: WorkerPool, pairs: list[tuple[str, str]]) -> None:
    verdicts = pool.map([DEFAULT.request(*pair) for pair in pairs])
    assert all(isinstance(verdict, bool) or verdict is Failure.TIMEOUT for verdict in verdicts)


def test_an_answer_over_its_deadline_is_given_up_and_the_next_one_is_graded(pool: WorkerPool) -> None:
    slow = r"|x^3-x| + |x^2-2| < \sqrt{x+3} + \sqrt{|x-5|}"  # to be solved, for seconds
    pairs = [(slow, "(0, 1)"), ("x + 1", "1 + x"), ("x + 1", "x + 2")]
    assert pool.map([DEFAULT.request(*pair) for pair in pairs]) == [Failure.TIMEOUT, True, False]
