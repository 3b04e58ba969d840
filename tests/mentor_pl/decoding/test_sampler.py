"""What graders see of a sampled response, and which entries of a column are its own."""

from dataclasses import replace

import pytest
import torch
from tokenizers import AddedToken

from mentor_pl.decoding.sampler import as_response, response_values
from mentor_pl.rewards.format import FormatReward
from mentor_pl.types import Prompt, Response


@pytest.fixture
def models(lookup_models):
    """t0 … t4 and <eos>, which is 5; t1 is special and t4 pads."""
    models = lookup_models(torch.zeros(1, 6, 6), stop_ids=[5, 3])
    models.tokenizer.add_special_tokens({"additional_special_tokens": ["t1"], "pad_token": "t4"})
    assert len(models.tokenizer) == 6
    return models


@pytest.mark.parametrize(
    ("ids", "text", "truncated"),
    [
        ([0, 2, 5], "t0 t2", False),
        ([0, 2, 3], "t0 t2", False),  # every stop id ends a response
        ([0, 2], "t0 t2", True),
        ([1, 0, 1, 5], "t1 t0 t1", False),  # special, but no end
        ([0, 2, 5, 4, 4], "t0 t2", False),
        ([0, 2, 4], "t0 t2", True),
        ([0, 4, 2, 5], "t0 t4 t2", False),
        ([5], "", False),
    ],
)
def test_a_response_loses_what_ends_it_and_nothing_else(models, ids, text, truncated):
    assert as_response(models, ids) == Response(text, tuple(ids), truncated)


def test_think_tags_that_are_special_tokens_count_towards_the_format(qwen2_folder, build_models):
    models = build_models(qwen2_folder)
    models.tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    ids = models.tokenizer.encode(r"<think> so </think> \boxed{ 7 }")
    response = as_response(models, [*ids, models.tokenizer.eos_token_id])
    assert response.text == r"<think> so </think> \boxed{ 7 }"
    assert FormatReward().grade(Prompt(0, "", "7", ()), response).total == 1.0
    without = replace(response, text=models.tokenizer.decode(ids, skip_special_tokens=True))
    assert FormatReward().grade(Prompt(0, "", "7", ()), without).total == 0.0


def test_without_special_tokens_what_is_merely_added_stays(qwen2_folder, build_models):
    models = build_models(qwen2_folder)
    models.tokenizer.add_tokens([AddedToken(tag, special=False) for tag in ("<think>", "</think>")])
    models.tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    ids = models.tokenizer.encode("<think> so </think><|turn|> 7")
    assert as_response(models, ids, special=False).text == "<think> so </think> 7"
    assert as_response(models, ids).text == "<think> so </think><|turn|> 7"


def test_texts_leave_out_the_stop_token(models):
    assert [as_response(models, ids).text for ids in ([1, 2, 5], [5])] == ["t1 t2", ""]  # 5 is <eos>


def test_response_values_are_those_before_the_end_in_row_order():
    values = torch.tensor([[1.0, 2.0, 9.0], [3.0, 9.0, 9.0], [4.0, 5.0, 6.0]])
    assert response_values(values, torch.tensor([2, 1, 3])).tolist() == [1, 2, 3, 4, 5, 6]
