"""Problems read and fitted to a model, or refused in one line before anything is decoded."""

import pytest
import torch

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark, Hub
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.runtime.errors import UsageError


@pytest.fixture
def tokenizer(lookup_models):
    return lookup_models(torch.zeros(1, 6, 6)).tokenizer


@pytest.fixture
def path(write_jsonl):
    return str(write_jsonl([{"problem": f"t{i}", "answer": f"t{i}", "kind": i} for i in (1, 2, 3)], "toy.jsonl"))


def toy(path=None, **options):
    return Benchmark("toy", path, ChoiceReward(), **options)


def ids(benchmark, tokenizer, window=2048):
    return [prompt.token_ids for prompt in benchmark.load(tokenizer, window)]


def test_a_row_becomes_a_prompt_with_its_place_its_answer_and_its_other_columns(path, tokenizer):
    second = toy(path).load(tokenizer, 2048)[1]
    assert (second.index, second.problem, second.answer, second.token_ids) == (1, "t2", "t2", (2,))
    assert second.metadata == {"id": "1", "kind": 2}  # the place stands in for a missing name


def test_a_limit_takes_the_first_problems_and_a_limit_beyond_the_end_all(path, tokenizer):
    assert ids(toy(path, limit=2), tokenizer) == [(1,), (2,)]
    assert ids(toy(path, limit=99), tokenizer) == [(1,), (2,), (3,)]


def test_problems_over_the_prompt_limit_are_left_out_and_said_to_be(tokenizer, write_jsonl, caplog):
    long = str(write_jsonl([{"problem": "t1 t1 t1", "answer": "t1"}, {"problem": "t3", "answer": "t3"}]))
    assert ids(toy(long, max_prompt_tokens=2), tokenizer) == [(3,)]
    assert "benchmark toy: 1 of 2 problems left out, their prompts exceed 2 tokens" in caplog.messages
    assert len(ids(toy(long), tokenizer)) == 2


def test_the_system_prompt_and_the_template_are_those_of_training(path, tokenizer):
    assert ids(toy(path, system_prompt="t4 t4", template="{system} {problem}"), tokenizer) == [
        (4, 4, 1),
        (4, 4, 2),
        (4, 4, 3),
    ]


def test_problems_come_from_the_path_else_from_the_folder_else_from_the_hub(path, tmp_path):
    class OnHub(Benchmark):
        hub = Hub("owner/name", "test")

    assert toy("a.jsonl").source(str(tmp_path)) == "a.jsonl"
    assert toy().source(str(tmp_path)) == path
    assert OnHub("toy").source() == "owner/name"
    with pytest.raises(UsageError, match="benchmark toy: no path"):
        toy().source()


def test_prompt_and_response_must_fit_the_window(path, tokenizer):
    fitting = toy(path, sampling=SamplingParams(max_new_tokens=9))
    assert len(ids(fitting, tokenizer, window=10)) == 3
    with pytest.raises(UsageError, match="max_new_tokens = 9 make 10 tokens, but the model attends to 9"):
        ids(fitting, tokenizer, window=9)


def test_another_number_of_problems_than_there_must_be_is_a_usage_error_that_names_both(path, tokenizer):
    with pytest.raises(UsageError, match=r"toy\.jsonl has 3 problems, but the set has 4"):
        toy(path, rows=4).read()
    assert len(toy(path, rows=3).read()) == 3
    assert len(toy(path, rows=4, limit=2).read()) == 2  # a part of it was asked for


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"answer": "t1"}, r"rows\.jsonl:2: 'problem' is None"),
        ({"problem": "t1", "answer": 7}, r"rows\.jsonl:2: 'answer' is 7"),
        ({"problem": " ", "answer": "t1"}, r"rows\.jsonl:2: 'problem' is ' '"),
        ("not JSON", r"rows\.jsonl:2: not JSON"),
    ],
    ids=str,
)
def test_a_bad_row_is_a_usage_error_that_names_file_and_line(row, named, write_jsonl):
    bad = write_jsonl([{"problem": "t1", "answer": "t1"}, row], "rows.jsonl")
    with pytest.raises(UsageError, match=named):
        toy(str(bad)).read()


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere\.jsonl: no such file"):
        toy(str(tmp_path / "nowhere.jsonl")).read()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"samples": 0}, "samples is 0"),
        ({"limit": 0}, "limit is 0"),
        ({"samples": 4, "pass_at": [1, 5]}, "a pass_at is 5, but there are 4 samples"),
        ({"pass_at": [0]}, "a pass_at is 0"),
    ],
    ids=str,
)
def test_counts_out_of_range_are_usage_errors_that_name_the_benchmark(options, named):
    with pytest.raises(UsageError, match=f"benchmark toy: {named}"):
        toy("problems.jsonl", **options)


def test_ids_to_leave_out_are_read_from_a_file_one_a_line(tmp_path):
    (tmp_path / "ids.txt").write_text("a/1\nb/2\n", encoding="utf-8")
    assert toy("x", without=str(tmp_path / "ids.txt")).ids_without() == {"a/1", "b/2"}
    with pytest.raises(UsageError, match=r"benchmark toy: without nowhere\.txt: cannot be read"):
        toy("x", without="nowhere.txt").ids_without()


@pytest.mark.parametrize("name", ["", ".", "..", "../there", "a/b", "/tmp"])
def test_a_name_that_cannot_be_a_folder_is_refused(name):
    with pytest.raises(UsageError, match="benchmark name is"):
        Benchmark(name)


def test_a_template_without_a_problem_is_refused():
    with pytest.raises(UsageError, match=r"template 'Answer:' has no \{problem\}"):
        toy(template="Answer:")


def test_prompts_that_are_all_too_long_are_said_to_be(path, tokenizer):
    with pytest.raises(UsageError, match="all 3 prompts exceed 0 tokens, the shortest 1: raise max_prompt_tokens"):
        toy(path, max_prompt_tokens=None).load(tokenizer, 0)


def test_a_set_that_is_not_in_the_folder_says_where_else_it_comes_from(tmp_path):
    class Somewhere(Benchmark):
        hub = Hub("owner/name", "test")

    with pytest.raises(UsageError, match=r"toy\.jsonl: no such file .* `folder: null` to read owner/name"):
        Somewhere("toy").read(str(tmp_path))
