"""A row's problem, answer, level and demonstrations are found wherever users' data sets keep them."""

from decimal import Decimal

import pytest

from mentor_pl.problems.columns import Columns, Unusable, demonstrations_of, problem_of
from mentor_pl.problems.sources import SourceRow

GOOD = {"problem": "find x", "answer": "7"}
CHAT = [{"role": "system", "content": "think"}, {"role": "user", "content": "find x"}]


def read(values, **columns):
    return problem_of(SourceRow(values, "here:1"), 4, Columns(**columns))


def test_by_default_problem_answer_level_and_demonstrations_are_columns_of_these_names():
    problem = read({**GOOD, "level": 3, "demonstrations": ["a", "b"], "subject": "algebra"})
    assert (problem.index, problem.place, problem.problem, problem.answer) == (4, "here:1", "find x", "7")
    assert (problem.level, problem.demonstrations) == (3, ("a", "b"))
    assert problem.metadata == {"level": 3, "subject": "algebra"}


def test_a_dot_leads_into_nested_values_unless_a_column_has_that_name():
    values = {"prompt": CHAT, "reward_model": {"ground_truth": "7", "style": "rule"}, "extra": {"a.b": 1}}
    problem = read(values, problem="prompt", answer="reward_model.ground_truth")
    assert (problem.problem, problem.answer) == ("find x", "7")
    assert problem.metadata == {"reward_model": {"ground_truth": "7", "style": "rule"}, "extra": {"a.b": 1}}
    turns = [*CHAT, {"role": "assistant", "content": "which x?"}, {"role": "user", "content": "find y"}]
    assert read({"problem": turns, "answer": "7"}).problem == "find y"
    assert read({"problem": "x", "a.b": "1", "a": {"b": "2"}}, answer="a.b").answer == "1"


@pytest.mark.parametrize(
    ("answer", "text"),
    [(7, "7"), (7.0, "7"), (0.5, "0.5"), (["7"], "7"), ([7], "7"), (Decimal("1.50"), "1.50"), (" 7", " 7"), (-3, "-3")],
)
def test_numbers_and_lists_of_one_become_texts(answer, text):
    assert read({"problem": "x", "answer": answer}).answer == text


@pytest.mark.parametrize(
    ("level", "number"),
    [(5, 5), ("Level 5", 5), ("5", 5), (5.0, 5), ("Level ?", None), (None, None), ([5], None)],
)
def test_a_level_is_a_number_or_a_text_with_one(level, number):
    assert read({**GOOD, "level": level}).level == number
    assert read(GOOD).level is None


@pytest.mark.parametrize(
    ("demonstrations", "texts"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([*CHAT, {"role": "assistant", "content": "a"}], ("a",)),
        ([[*CHAT, {"role": "assistant", "content": c}] for c in "ab"], ("a", "b")),
        ([None, "", "a"], ("a",)),
        (None, ()),
        ([], ()),
    ],
)
def test_demonstrations_are_a_text_a_chat_or_several_of_these(demonstrations, texts):
    assert read({**GOOD, "generations": demonstrations}, demonstrations="generations").demonstrations == texts


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"problem": "a"}, "field 'answer' is missing: name the right one in select.columns.answer; there is problem"),
        ({"answer": "a"}, "field 'problem' is missing"),
        ({"problem": None, "answer": "7"}, "field 'problem' is None"),
        ({"problem": " ", "answer": "7"}, "field 'problem' is ' '"),
        ({"problem": CHAT[:1], "answer": "7"}, "field 'problem' is [{'role': 'system'"),
        ({"problem": "a", "answer": True}, "field 'answer' is True, but every row needs a text or a number"),
        ({"problem": "a", "answer": ["1", "2"]}, "field 'answer' is ['1', '2']"),
        ({"problem": "a", "answer": ""}, "field 'answer' is ''"),
        ({**GOOD, "demonstrations": 5}, "field 'demonstrations' is 5"),
        ({**GOOD, "demonstrations": [CHAT]}, "field 'demonstrations' is [[{'role'"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(values, reason):
    with pytest.raises(Unusable) as refused:
        read(values)
    assert str(refused.value).startswith(reason)


def test_the_columns_to_keep_can_be_chosen():
    values = {**GOOD, "level": 2, "subject": "algebra", "huge": "…"}
    assert read(values, metadata=["subject", "absent"]).metadata == {"subject": "algebra"}
    assert read(values, metadata=[]).metadata == {}
    assert read(values, metadata=[]).level == 2


def test_a_row_of_demonstrations_needs_no_answer_but_a_demonstration():
    row = SourceRow({"question": "find x", "trace": "a"}, "here:1")
    assert demonstrations_of(row, Columns(problem="question", demonstrations="trace")) == ("find x", ("a",))
    with pytest.raises(Unusable, match="field 'demonstrations' holds no response"):
        demonstrations_of(row, Columns(problem="question"))
