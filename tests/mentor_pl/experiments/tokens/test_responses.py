import json
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.experiments.tokens.responses import labelled, read_annotated
from mentor_pl.runtime.errors import UsageError
from mentor_pl.testbed.maze.models import WORDS
from mentor_pl.testbed.tokenizer import EOS, build_tokenizer
from mentor_pl.types import Prompt

PROMPT = Prompt(3, "blocked c00", "U", (5, 6))


def known(tokenizer, stop):
    return SimpleNamespace(tokenizer=tokenizer, vocabulary=SimpleNamespace(stop_ids=(stop,)))


@pytest.fixture
def mazes():
    tokenizer = build_tokenizer(WORDS)
    return known(tokenizer, tokenizer.convert_tokens_to_ids(EOS))


@pytest.fixture
def letters():
    """A token for each byte, and one that ends a text and is written without white space."""
    alphabet = {letter: i for i, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(alphabet, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|end|>")
    return known(tokenizer, tokenizer.eos_token_id)


def ids_of(models, text):
    return models.tokenizer(text, add_special_tokens=False)["input_ids"]


def test_the_words_of_a_maze_are_its_tokens_and_the_stop_token_is_one(mazes):
    told = []

    def labels(problem, words):
        told.append((problem, list(words)))
        return [None, True, False, False]

    one = labelled(mazes, PROMPT, 0, ids_of(mazes, f"try U c01 {EOS}"), labels, "labels")
    assert told == [("blocked c00", ["try", "U", "c01", EOS])]
    assert one.labels == (None, True, False, False)
    assert [text.strip() for text in one.texts] == ["try", "U", "c01", EOS]


def test_a_word_of_several_tokens_is_labelled_where_it_begins(letters):
    # é is two bytes
    ids = [*ids_of(letters, "ab é\n c"), letters.tokenizer.eos_token_id]
    one = labelled(letters, PROMPT, 0, ids, lambda problem, words: [len(word) < 2 for word in words], "labels")
    assert one.labels == (False, None, None, True, None, None, None, True, False)
    assert "".join(one.texts) == "ab é\n c<|end|>"


def test_without_labels_no_token_has_one(mazes):
    assert labelled(mazes, PROMPT, 0, ids_of(mazes, "try U"), None, "").labels == (None, None)


@pytest.mark.parametrize(
    ("given", "what"),
    [([True], "are 1 values for 2 words"), ([1, 0], r"are \[1, 0\] for 2 words"), (None, "are None for 2 words")],
)
def test_labels_that_do_not_fit_are_refused_with_their_source(mazes, given, what):
    with pytest.raises(UsageError, match=f"^labels of mine {what}: give true, false or null for each$"):
        labelled(mazes, PROMPT, 0, ids_of(mazes, "try U"), lambda problem, words: given, "labels of mine")


LINE = {"problem": "blocked c00", "response": "try U c01", "labels": [None, True, False]}


def annotated(models, tmp_path, *lines, most=8):
    file = tmp_path / "labels.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    problems = Benchmark("maze", sampling=SamplingParams(max_new_tokens=most))
    return read_annotated(models, problems, [PROMPT], file)


def test_annotated_responses_are_read_with_their_problems(mazes, tmp_path):
    first, second = annotated(mazes, tmp_path, LINE, LINE | {"response": "try", "labels": [False]})
    assert (first.prompt, first.number, first.labels) == (PROMPT, 0, (None, True, False))
    assert (second.prompt, second.number, second.labels) == (PROMPT, 1, (False,))


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"problem": "another"}, "problem is 'another', which is none of the 1 of problems.path"),
        ({"response": " "}, "response is ' ': give a text"),
        ({"response": 3}, "response is 3: give a text"),
        ({"labels": [True]}, "labels are 1 values for 3 words: give true, false or null"),
        ({"labels": "yes"}, "labels are 'yes' for 3 words"),
        ({"response": "U " * 9}, "response has 9 tokens, but problems.sampling.max_new_tokens is 8: raise it"),
    ],
)
def test_a_bad_line_is_named(mazes, tmp_path, changed, what):
    with pytest.raises(UsageError, match=r"labels.jsonl.*2.*: ") as error:
        annotated(mazes, tmp_path, LINE, LINE | changed)
    assert what in str(error.value)


def test_a_missing_file_is_named(mazes, tmp_path):
    with pytest.raises(UsageError, match=r"annotations is '.*none.jsonl', but there is no such file: give one"):
        read_annotated(mazes, Benchmark("maze"), [PROMPT], tmp_path / "none.jsonl")
