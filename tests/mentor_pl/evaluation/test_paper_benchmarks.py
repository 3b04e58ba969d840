"""The nine: their rows, protocols and prompts, from files and in the columns that the Hub has."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import with_shared_rewards
from mentor_pl.evaluation.paper_benchmarks import (
    NINE,
    Aime24,
    Amc83,
    ArcChallenge,
    GpqaDiamond,
    Math500,
    Minerva,
    MmluPro,
    OlympiadBench,
    row_counts,
)
from mentor_pl.problems.prompts import PAPER_SYSTEM_PROMPT
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.runtime.errors import UsageError

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared/data/benchmarks"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no benchmark data in {DATA}")
def test_every_set_has_its_exact_number_of_problems():
    assert row_counts(str(DATA)) == {
        "math500": (500, 500),
        "aime24": (30, 30),
        "aime25": (30, 30),
        "amc83": (83, 83),
        "minerva": (272, 272),
        "olympiadbench": (674, 674),
        "gpqa_diamond": (198, 198),
        "arc_challenge": (1172, 1172),
        "mmlu_pro": (12032, 12032),
    }


def test_protocols_are_the_papers():
    drawn = {"aime24", "aime25", "amc83"}
    assert {kind().name for kind in NINE if kind().samples == 32} == drawn
    for benchmark in (kind() for kind in NINE):
        many = benchmark.name in drawn
        assert (benchmark.samples, benchmark.sampling.temperature) == ((32, 0.6) if many else (1, 0.0))
        assert benchmark.ks == [benchmark.samples]
        assert benchmark.system_prompt == PAPER_SYSTEM_PROMPT
        choice = benchmark.name in ("gpqa_diamond", "arc_challenge", "mmlu_pro")
        assert type(benchmark.grader) is (ChoiceReward if choice else PaperReward)


def test_benchmarks_share_no_grader_unless_they_are_asked_together():
    """Nothing is kept for the process: whoever asks several benchmarks has the graders, and closes them."""
    assert Math500().grader is not Math500().grader
    own = ChoiceReward()
    asked = [Math500(), MmluPro(), Aime24(), ArcChallenge(), GpqaDiamond(reward=own)]
    math500, mmlu, aime, arc, gpqa = (one.grader for one in with_shared_rewards(asked))
    assert math500 is aime
    assert mmlu is arc
    assert math500 is not mmlu
    assert gpqa is own
    assert with_shared_rewards(asked[:1])[0] == replace(asked[0], reward=math500)


def test_choices_are_lettered_lines_under_the_problem():
    row = {"problem": "2 + 2?", "choices": ["3", "4", "5"], "answer": "B", "id": 7}
    assert MmluPro().question(row)["problem"] == (
        "2 + 2?\nA. 3\nB. 4\nC. 5\nPut the letter of the right choice, and nothing else, in \\boxed{}."
    )


def test_ten_choices_end_with_j_and_eleven_are_refused():
    row = {"problem": "?", "choices": list("0123456789"), "answer": "J"}
    assert "\nJ. 9\n" in MmluPro().question(row)["problem"]
    with pytest.raises(UsageError, match="11 choices"):
        MmluPro().question({**row, "choices": list("0123456789x")})


@pytest.mark.parametrize("answer", ["D", "b", "4", "", "AB"])
def test_an_answer_that_is_no_letter_of_the_choices_is_refused(answer):
    with pytest.raises(UsageError, match=f"answer '{answer}' with 3 choices"):
        ArcChallenge().question({"problem": "?", "choices": ["3", "4", "5"], "answer": answer})


def test_the_flawed_row_of_olympiadbench_is_left_out_and_keeps_its_place(write_jsonl):
    rows = [{"problem": f"p{i}", "answer": "1", "error": "1e-1" if i == 1 else None} for i in range(3)]
    found = OlympiadBench(path=str(write_jsonl(rows)), rows=2).read()
    assert [(one["index"], one["problem"]) for one in found] == [(0, "p0"), (2, "p2")]


def test_a_tolerance_reaches_the_grader(write_jsonl, lookup_models):
    rows = [{"problem": "p", "answer": "4.2", "tolerance": 0.1, "error": None}]
    sampling = SamplingParams(temperature=0.0, max_new_tokens=8)
    benchmark = OlympiadBench(path=str(write_jsonl(rows)), rows=1, sampling=sampling, system_prompt=None)
    (prompt,) = benchmark.load(lookup_models(torch.zeros(1, 6, 6)).tokenizer, 100)
    assert prompt.metadata["tolerance"] == 0.1


# --------------------------------------------------------------------------------- rows as the Hub has them, made up


@pytest.mark.parametrize(
    ("benchmark", "row", "problem", "answer"),
    [
        (Math500(), {"problem": "p", "answer": "x^2", "unique_id": "test/1.json"}, "p", "x^2"),
        (Amc83(), {"problem": "p", "answer": 27.0, "id": 3}, "p", "27"),
        (Amc83(), {"problem": "p", "answer": 0.5}, "p", "0.5"),
        (Minerva(), {"question": "p", "answer": "1.6"}, "p", "1.6"),
        (OlympiadBench(), {"question": "p", "final_answer": ["$2$", "$-3$"], "error": None}, "p", "2, -3"),
    ],
)
def test_mathematics_in_the_hubs_columns(benchmark, row, problem, answer):
    question = benchmark.question(row)
    assert (question["problem"], question["answer"]) == (problem, answer)


def test_arc_in_the_hubs_columns_with_letters_or_numbers():
    row = {"question": "?", "choices": {"text": ["x", "y", "z"], "label": ["1", "2", "3"]}, "answerKey": "3"}
    assert ArcChallenge().question(row)["answer"] == "C"
    row = {"question": "?", "choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}
    assert ArcChallenge().question(row)["choices"] == ["x", "y"]


def test_mmlu_pro_in_the_hubs_columns():
    row = {"question_id": 70, "question": "?", "options": ["x", "y"], "answer": "B", "answer_index": 1}
    question = MmluPro().question(row)
    assert (question["answer"], question["choices"], question["id"]) == ("B", ["x", "y"], 70)


def test_gpqa_in_the_hubs_columns_keeps_the_right_choice_under_its_letter_in_an_order_that_stays():
    letters = set()
    for i in range(20):
        row = {"Question": f"question {i}", "Correct Answer": " right\n", "Record ID": f"rec{i}"}
        row |= {f"Incorrect Answer {k}": f"wrong {k}" for k in (1, 2, 3)}
        question = GpqaDiamond().question(row)
        assert question["choices"]["ABCD".index(question["answer"])] == "right"
        assert sorted(question["choices"]) == ["right", "wrong 1", "wrong 2", "wrong 3"]
        assert GpqaDiamond().question(row) == question
        letters.add(question["answer"])
    assert letters == set("ABCD")


def test_a_row_without_its_columns_is_a_usage_error_that_names_the_missing_one(write_jsonl):
    path = write_jsonl([{"problem": "p", "answer": "A"}], "gpqa.jsonl")
    with pytest.raises(UsageError, match=r"gpqa\.jsonl:1: no problem of gpqa_diamond: no column 'choices'"):
        GpqaDiamond(path=str(path)).read()


def test_the_page_on_benchmarks_says_what_the_classes_say():
    lines = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    for kind, cells in zip(NINE, rows, strict=False):
        one = kind()
        protocol = "one greedy response" if one.samples == 1 else "avg@32 and pass@32 at T = 0.6"
        reward = type(one.grader).__name__
        assert cells == [f"`{kind.__name__}`", str(one.rows), protocol, f"`{reward}`", kind.licence, kind.hub.name]
