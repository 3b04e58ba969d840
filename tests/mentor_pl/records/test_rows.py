"""Rows of what no run of this suite has: given tokens, rollouts without grades, hostile text, several processes."""

from dataclasses import replace

import pytest
import torch
from collecting import EIGHT, THREE, GivenRounds, Learner, gather, guided_by, row

from mentor_pl.decoding.naive import Naive
from mentor_pl.records.rollouts import rollouts_of
from mentor_pl.records.rows import Pieces, Teller, rows_of
from mentor_pl.records.writing import in_order
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Origin

HALF = "a half \ud800 character"


def decode(ids):
    return " ".join(f"<{one}>" for one in ids)


def teller(rank=0, ranks=1):
    prompts = {8: replace(EIGHT, problem=HALF), 3: THREE}
    return Teller(prompts, decode, Pieces(decode), seed=5, rank=rank, ranks=ranks)


@pytest.fixture
def rollouts(build_models, qwen2_folder, qwen2_expert_folder):
    """A mixture row behind two given tokens, one of the policy, and one of a trace, which is not graded."""
    models = build_models(qwen2_folder, qwen2_expert_folder)
    rows = [
        row(EIGHT, 1, given=(1, 2), origin=Origin.MIXTURE),
        row(EIGHT, 0),
        row(THREE, 0, origin=Origin.DEMONSTRATION, given=(3, 5), complete=True),
    ]
    algorithm = GivenRounds(rows)
    algorithm.blend = guided_by(0.9).blend
    found = gather(Learner(models, algorithm=algorithm), Naive(), alternatives=2)
    return replace(found, rewards=found.rewards.where(torch.tensor([True, True, False]), torch.nan))


def test_coins_count_from_the_first_token_that_is_sampled(rollouts):
    mixed = rows_of(rollouts, torch.zeros(3), "w", teller()).to_pylist()[1]
    assert mixed["given"][:2] == [True, True]
    assert mixed["coins"][:2] == [1, 1]
    assert mixed["guided"] == [v <= w for v, w in zip(mixed["coins"], mixed["gate_weights"], strict=True)]
    assert any(mixed["guided"])


def test_what_is_not_graded_has_no_reward_and_comes_back_so(rollouts):
    table = rows_of(rollouts, torch.zeros(3), "w", teller())
    assert table["reward"].null_count == 1
    assert rollouts_of(table).graded.tolist() == [True, True, False]
    assert table["origin"].to_pylist() == ["policy", "mixture", "demonstration"]


def test_half_characters_are_marked(rollouts):
    assert rows_of(rollouts, torch.zeros(3), "w", teller())["problem_text"][0].as_py() == "a half ? character"


def test_advantages_of_tokens_are_kept_of_each(rollouts):
    advantages = torch.arange(rollouts.response_ids.numel()).view(rollouts.response_ids.shape).float()
    rows = rows_of(rollouts, advantages, "w", teller()).to_pylist()
    for one, expected in zip(rows, advantages.tolist(), strict=True):
        assert one["advantages"] == expected[: one["length"]]


def test_rows_of_processes_stand_as_one_process_has_them_and_come_apart_again(rollouts):
    first = rows_of(rollouts, torch.zeros(3), "w", teller(0, 2))
    second = rows_of(rollouts, torch.zeros(3), "w", teller(1, 2))
    whole = in_order([first, second])
    places = zip(*(whole[name].to_pylist() for name in ("group", "rank", "number")), strict=True)
    assert list(places) == [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 0), (1, 1, 0)]
    for rank in (0, 1):
        back = rollouts_of(whole, rank)
        assert torch.equal(back.response_ids, rollouts.response_ids)
        assert torch.equal(back.alternatives.probabilities, rollouts.alternatives.probabilities)
        assert torch.equal(back.alternatives.positions, rollouts.alternatives.positions)


def test_a_process_without_rollouts_has_none_again(rollouts):
    """As one of three has that took part in a step of two problems."""
    some = rows_of(rollouts, torch.zeros(3), "w", teller(0, 2))
    none = rows_of(rollouts.only(rollouts.group < 0), torch.zeros(0), "w", teller(1, 2))
    back = rollouts_of(in_order([some, none]), 1)
    assert (len(back), back.without_verdict, back.texts) == (0, 0, ())
    assert (back.step, back.gamma) == (rollouts.step, pytest.approx(rollouts.gamma))
    with pytest.raises(UsageError, match="0 rollouts of process 2"):
        rollouts_of(some, 2)
