"""Demonstrations become labels, batches of like lengths, and models that learn from them; the stages scale."""

import pytest

from mentor_pl.testbed.pretrain import (
    IGNORED,
    STEPS,
    batches,
    build_model,
    collate,
    pretrain,
    sequences,
    stage_steps,
    train,
)
from mentor_pl.testbed.problems import DRILLS, split
from mentor_pl.testbed.tokenizer import build_tokenizer


def test_training_lowers_the_loss_from_that_of_a_uniform_guess() -> None:
    tokenizer = build_tokenizer()
    data = sequences(split("heldout")[:200], DRILLS, 200, tokenizer, seed=0, drill=True)
    losses = train(build_model(tokenizer, seed=0), data, steps=20, lr=3e-3, seed=0)
    assert losses[0] > 3.0  # ln 36 = 3.58 nats for a uniform guess
    assert losses[-1] < 1.7


def test_prompts_and_padding_carry_no_loss() -> None:
    inputs, labels = collate([([7, 8, 9, 1], [IGNORED, IGNORED, 9, 1]), ([7, 1], [IGNORED, 1])], pad_id=0)
    assert inputs.tolist() == [[7, 8, 9, 1], [7, 1, 0, 0]]
    assert labels.tolist() == [[IGNORED, IGNORED, 9, 1], [IGNORED, 1, IGNORED, IGNORED]]


def test_a_drill_is_marked_and_its_labels_start_with_the_response() -> None:
    tokenizer, mazes = build_tokenizer(), split("heldout")[:1]
    (ids, labels), *_ = sequences(mazes, DRILLS, 1, tokenizer, seed=0, drill=True)
    assert tokenizer.decode(ids[:9]) == f"drill {mazes[0].text()}"
    assert tokenizer.decode(ids[9:10]) == "<think>"
    assert ids[-1] == tokenizer.eos_token_id
    assert labels == [IGNORED] * 9 + ids[9:]


def test_demonstrations_go_over_the_mazes_in_turn() -> None:
    tokenizer, mazes = build_tokenizer(), split("heldout")[:2]
    made = sequences(mazes, DRILLS, 5, tokenizer, seed=0)
    prompts = [tokenizer.decode([i for i, label in zip(*one, strict=True) if label == IGNORED]) for one in made]
    assert prompts == [mazes[index].text() for index in (0, 1, 0, 1, 0)]


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


@pytest.mark.parametrize(
    ("scale", "steps"),
    [(1.0, STEPS), (0.5, {"trunk": 500, "base": 200, "expert": 350}), (1e-6, {"trunk": 1, "base": 1, "expert": 1})],
)
def test_steps_scale_and_are_one_at_least(scale: float, steps: dict[str, int]) -> None:
    assert stage_steps(scale) == steps


def test_base_and_expert_grow_from_one_trunk_and_report_every_step() -> None:
    seen = []
    scale = 0.003  # 3, 1 and 2 steps
    base, expert = pretrain(
        build_tokenizer(), split("train")[:20], scale=scale, progress=lambda *step: seen.append(step)
    )
    assert [stage for stage, _ in seen] == ["trunk"] * 3 + ["base"] + ["expert"] * 2
    assert not base.training
    assert not expert.training
    names = [name for name, value in base.state_dict().items() if not value.equal(expert.state_dict()[name])]
    assert names  # they have parted
