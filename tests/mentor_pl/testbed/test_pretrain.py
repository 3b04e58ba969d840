"""Demonstrations become labels, batches of like lengths, and models that learn from them."""

import random

import pytest
import torch

from mentor_pl.testbed.maze.models import DRILLS, WORDS
from mentor_pl.testbed.maze.problems import split
from mentor_pl.testbed.maze.solutions import solution
from mentor_pl.testbed.pretrain import IGNORED, batches, build_model, collate, encode, train
from mentor_pl.testbed.tokenizer import build_tokenizer


def test_training_lowers_the_loss_from_that_of_a_uniform_guess() -> None:
    tokenizer, rng = build_tokenizer(WORDS), random.Random(0)
    data = [
        encode(maze.text().split(), solution(maze, DRILLS, rng).split(), tokenizer) for maze in split("heldout")[:200]
    ]
    losses = train(build_model(tokenizer, seed=0), data, steps=20, lr=3e-3, seed=0)
    assert losses[0] > 3.5  # ln 71 = 4.26 nats for a uniform guess
    assert losses[-1] < 2.0


def test_prompts_and_padding_carry_no_loss() -> None:
    inputs, labels = collate([([7, 8, 9, 1], [IGNORED, IGNORED, 9, 1]), ([7, 1], [IGNORED, 1])], pad_id=0)
    assert inputs.tolist() == [[7, 8, 9, 1], [7, 1, 0, 0]]
    assert labels.tolist() == [[IGNORED, IGNORED, 9, 1], [IGNORED, 1, IGNORED, IGNORED]]


def test_further_lists_of_labels_follow_the_first_ones_of_all_sequences() -> None:
    inputs, labels = collate([([7, 8], [IGNORED, 8], [IGNORED, 9]), ([7, 8, 1], [IGNORED, 8, 1])], pad_id=0)
    assert inputs.tolist() == [[7, 8, 0], [7, 8, 1]]
    first, further = [[IGNORED, 8, IGNORED], [IGNORED, 8, 1]], [[IGNORED, 9, IGNORED], [IGNORED] * 3]
    assert labels.tolist() == first + further


def test_the_loss_is_the_mean_over_all_labels_where_a_place_has_several() -> None:
    model = build_model(build_tokenizer(["a", "b", "c"]), seed=0)
    data = [([3, 4, 5], [IGNORED, 4, 5], [IGNORED, IGNORED, 3]), ([5, 5, 1], [IGNORED, 5, 1])]
    with torch.no_grad():
        first, second = model(input_ids=torch.tensor([ids for ids, *_ in data])).logits.log_softmax(-1)  # [T, V] each
    (loss,) = train(model, data, steps=1, lr=0.0, seed=0)
    right = [first[0, 4], first[1, 5], first[1, 3], second[0, 5], second[1, 1]]
    assert loss == pytest.approx(-sum(right).item() / 5, rel=1e-5)


def test_labels_start_with_the_response_and_end_with_the_stop_token() -> None:
    tokenizer = build_tokenizer(["drill", "start", "go", "there"])  # behind three special ones: ids 3, 4, 5, 6
    assert encode(["drill", "start"], ["go", "there"], tokenizer) == ([3, 4, 5, 6, 1], [IGNORED, IGNORED, 5, 6, 1])


def test_a_batch_holds_neighbours_in_length_and_none_twice() -> None:
    # 128 sequences of 1 … 128 tokens make two batches of 64: the shorter half and the longer half, in either order
    data = [([0] * n, [0] * n) for n in range(1, 129)]
    drawn = list(batches(data, 4, seed=0))
    for batch, other in (drawn[:2], drawn[2:]):
        lengths = sorted([sorted(len(ids) for ids, _ in one) for one in (batch, other)])
        assert lengths == [list(range(1, 65)), list(range(65, 129))]


def test_fewer_sequences_than_a_batch_are_one_batch() -> None:
    data = [([0], [0]), ([0, 0], [0, 0])]
    assert [len(batch) for batch in batches(data, 3, seed=0)] == [2, 2, 2]
