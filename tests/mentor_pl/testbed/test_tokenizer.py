"""The tokenizer reads and writes exactly the testbed's words, also after a trip through a model folder."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from mentor_pl.testbed.folder import save_model
from mentor_pl.testbed.maze.models import DRILLS, WORDS
from mentor_pl.testbed.maze.problems import split
from mentor_pl.testbed.maze.solutions import solution
from mentor_pl.testbed.pretrain import build_model
from mentor_pl.testbed.tokenizer import MAX_LENGTH, SPECIAL, build_tokenizer

VOCABULARY = (*SPECIAL, *WORDS)
PROBLEM = "blocked c01 c12 c33 goal c20 start c00"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerBase:
    """The tokenizer as a run reads it: from a model folder, by AutoTokenizer."""
    folder: Path = tmp_path_factory.mktemp("testbed") / "policy"
    tokenizer = build_tokenizer(WORDS)
    save_model(build_model(tokenizer, 0), tokenizer, folder)
    return AutoTokenizer.from_pretrained(folder)


def test_a_problem_becomes_one_token_a_word_and_nothing_else(loaded: PreTrainedTokenizerBase) -> None:
    ids = loaded(PROBLEM)["input_ids"]
    assert [VOCABULARY[index] for index in ids] == PROBLEM.split()
    assert loaded(PROBLEM, add_special_tokens=False)["input_ids"] == ids


def test_solutions_survive_encoding_and_decoding(loaded: PreTrainedTokenizerBase) -> None:
    rng = random.Random(0)
    for maze in split("train")[:50]:
        text = solution(maze, DRILLS, rng)
        ids = loaded(text)["input_ids"]
        assert loaded.unk_token_id not in ids
        assert loaded.decode([*ids, loaded.eos_token_id, loaded.pad_token_id], skip_special_tokens=True) == text
        assert len(ids) + len(maze.text().split()) < MAX_LENGTH


def test_only_padding_stop_and_unknown_are_special(loaded: PreTrainedTokenizerBase) -> None:
    assert len(loaded) == len(VOCABULARY) == len(set(VOCABULARY))
    assert loaded.all_special_tokens == ["<eos>", "<unk>", "<pad>"]
    assert (loaded.pad_token_id, loaded.eos_token_id) == (0, 1)
    assert loaded.bos_token is None


def test_unknown_words_become_the_unknown_token(loaded: PreTrainedTokenizerBase) -> None:
    assert loaded("start c99 here")["input_ids"] == [VOCABULARY.index(word) for word in ("start", "<unk>", "<unk>")]


def test_there_is_no_chat_template(loaded: PreTrainedTokenizerBase) -> None:
    assert loaded.chat_template is None


def test_a_phrase_is_one_token_wherever_it_stands_also_from_a_model_folder(tmp_path: Path) -> None:
    tokenizer = build_tokenizer(("1", "2", "="), ("What is", ", or", ",", ".\nSay\n\nit."))
    save_model(build_model(tokenizer, 0), tokenizer, tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    expected = ["What is", "1", ",", "2", ", or", "1", ".\nSay\n\nit."]
    assert loaded.tokenize("What is 1, 2, or 1.\nSay\n\nit.\n") == expected
    assert loaded.decode(loaded("1 = 2")["input_ids"]) == "1 = 2"
