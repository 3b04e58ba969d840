"""Which responses become demonstrations, and what is written of them."""

import json
import sys
from pathlib import Path

import pytest
import torch

from mentor_pl.evaluation.demonstrations import Kept, Written, answer_missing, check_column, samples_folder, write
from mentor_pl.evaluation.samples_file import Answered, GradedResponse, write_samples
from mentor_pl.problems.prompts import load_prompts
from mentor_pl.problems.selection import Selection
from mentor_pl.runtime.errors import UsageError

sys.path.append(str(Path(__file__).parent))

from scripted import EOS, ScriptedSampler, toy


def said(text, correct=True, truncated=False, length=3, **parts):
    return GradedResponse(text, length, truncated, correct, parts)


def answered(*responses, index=0, prefix=""):
    return Answered("demonstrations", index, str(index), "t1", "t1", "7", prefix, {}, responses)


RESPONSES = (said("one"), said("cut", truncated=True), said("no", correct=False), said(" \n"), said("one"), said("two"))


@pytest.mark.parametrize(
    ("kept", "texts"),
    [
        (Kept(), ("one", "two")),
        (Kept(at_most=1), ("one",)),
        (Kept(wrong=True), ("one", "no", "two")),
        (Kept(wrong=True, at_most=2), ("one", "no")),
    ],
    ids=["right", "one", "all", "two of all"],
)
def test_demonstrations_are_whole_right_and_said_once(kept, texts):
    assert kept.of(answered(*RESPONSES)) == texts


def test_what_the_template_has_written_of_a_response_is_in_front():
    assert Kept().of(answered(said("so </think> 7"), said(""), prefix="<think>\n")) == ("<think>\nso </think> 7",)


def test_what_is_written_is_counted():
    written = Written()
    written.add(answered(*RESPONSES, said("late", correct=False, not_graded=1.0)), ("one", "two"))
    written.add(answered(*[said("no", correct=False)] * 7), ())
    counts = (written.tokens, written.truncated, written.without_verdict, written.demonstrated, written.demonstrations)
    assert counts == (42, 1, 1, 1, 2)
    assert written.pass_at(7) == 0.5
    assert written.pass_at(1) == pytest.approx(5 / 14)


@pytest.fixture
def problems(models, write_jsonl):
    """Rows of which the second is no problem, and the prompts of the others."""
    rows = [{"question": f"t{i}", "answer": f"t{i}" if i != 2 else None, "nested": {"i": [i]}} for i in (1, 2, 3)]
    source = str(write_jsonl(rows))
    select = Selection(answered=True, columns=Selection().columns.__class__(problem="question"))
    return source, select, load_prompts(source, models.tokenizer, None, 8, select=select).prompts


def test_the_file_has_the_rows_as_the_source_has_them_in_its_order_whatever_ended_first(problems, tmp_path):
    source, select, prompts = problems
    out = tmp_path / "out.jsonl"
    samples_folder(out).mkdir()
    rows = [answered(said("é"), index=2), answered(said("no", correct=False), index=0), answered(said("late"), index=0)]
    write_samples(samples_folder(out) / "samples.0.jsonl", rows)
    written = write(out, source, select, prompts, Kept("said"))
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == [
        {"question": "t1", "answer": "t1", "nested": {"i": [1]}, "said": []},
        {"question": "t3", "answer": "t3", "nested": {"i": [3]}, "said": ["é"]},
    ]
    assert len(written.right) == 2


def test_a_column_that_the_rows_have_is_refused(problems):
    source, select, prompts = problems
    check_column(source, select, prompts, "said")
    with pytest.raises(UsageError, match=r"column is 'nested', but .*:1 has one of that name, .*: name another"):
        check_column(source, select, prompts, "nested")


def test_what_is_missing_alone_is_answered_and_graded_without_special_tokens(models, problems, tmp_path):
    models.tokenizer.add_special_tokens({"additional_special_tokens": ["t4"]})
    prompts, folder = problems[2], tmp_path / "samples"
    script = {1: [[4, 1, EOS], [2, EOS]], 3: [[3, EOS], [4, EOS]]}
    first, seen = ScriptedSampler(script), []
    protocol = toy(None)
    tokens, _ = answer_missing(models, protocol, prompts[:1], first, seed=1, folder=folder)
    assert tokens == 5
    second = ScriptedSampler(script)
    progress = lambda *at: seen.append(at)  # noqa: E731
    tokens, _ = answer_missing(models, protocol, prompts, second, seed=1, folder=folder, progress=progress)
    assert (tokens, seen, second.calls[0][0]) == (4, [(1, 2), (2, 2)], [(3,), (3,)])
    lines = [json.loads(line) for line in (folder / "samples.0.jsonl").read_text().splitlines()]
    assert [[(one["text"], one["correct"]) for one in line["responses"]] for line in lines] == [
        [("t1", True), ("t2", False)],
        [("t3", True), ("", False)],
    ]
    assert not torch.is_inference_mode_enabled()
