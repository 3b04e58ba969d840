"""Prompts that rollouts share: the layout by hand; values and gradients against plain forwards of every rollout."""

import math

import pytest
import torch
from torch.utils.checkpoint import checkpoint
from transformers import Lfm2Config, Lfm2ForCausalLM, Qwen2Config, Qwen2ForCausalLM

from mentor_pl.models.logprobs import token_logprobs
from mentor_pl.models.prefix_sharing import SHARED_PREFIX_ATTENTION, SharedPrefixes, attend_shared, prefix_sharing
from mentor_pl.runtime.errors import UsageError

# three rollouts of one prompt, one of a prompt that is the first one's beginning, two of the first prompt again
PROMPTS = torch.tensor([[7, 8, 9], [7, 8, 9], [7, 8, 9], [7, 8, 99], [7, 8, 9], [7, 8, 9]])
PROMPT_LENGTHS = torch.tensor([3, 3, 3, 2, 3, 3])
RESPONSES = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6], [1, 0, 0], [2, 2, 0], [5, 0, 0]])
RESPONSE_LENGTHS = torch.tensor([2, 1, 3, 1, 2, 1])


@pytest.fixture
def rows():
    return SharedPrefixes(PROMPTS, PROMPT_LENGTHS, RESPONSES, RESPONSE_LENGTHS)


def test_neighbours_with_equal_prompts_share_theirs(rows):
    assert rows.ids.tolist() == [[7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 7, 8, 9, 2, 2, 5]]
    assert rows.positions.tolist() == [[0, 1, 2, 3, 4, 3, 3, 4, 5, 0, 1, 2, 0, 1, 2, 3, 4, 3]]


def test_a_response_follows_its_prompt_wherever_that_stands(rows):
    # the first tokens are read after places 2, 2, 2, 10, 14, 14
    assert rows.before.tolist() == [[2, 3, 0], [2, 0, 0], [2, 6, 7], [10, 0, 0], [14, 15, 0], [14, 0, 0]]


def test_what_lies_behind_a_prompt_does_not_tell_it_from_another():
    prompts = torch.tensor([[7, 8, 1], [7, 8, 2], [7, 8, 2]])
    rows = SharedPrefixes(prompts, torch.tensor([2, 2, 3]), torch.tensor([[4], [5], [6]]), torch.tensor([1, 1, 1]))
    assert rows.ids.tolist() == [[7, 8, 4, 5, 7, 8, 2, 6]]


def test_a_prompt_that_goes_on_with_the_padding_id_is_another():
    prompts = torch.tensor([[7, 8, 0], [7, 8, 0]])
    rows = SharedPrefixes(prompts, torch.tensor([2, 3]), torch.tensor([[4], [5]]), torch.tensor([1, 1]))
    assert rows.ids.tolist() == [[7, 8, 4, 7, 8, 0, 5]]


def test_blocks_hold_whole_rollouts_and_every_token_has_one_answer(rows):
    (block,) = rows.blocks
    ids = rows.ids[0]
    lengths = (PROMPT_LENGTHS + RESPONSE_LENGTHS).tolist()
    wanted = [[7, 8, 9, 1, 2], [7, 8, 9, 3], [7, 8, 9, 4, 5, 6], [7, 8, 1], [7, 8, 9, 2, 2], [7, 8, 9, 5]]
    assert [ids[place[:n]].tolist() for place, n in zip(block.source, lengths, strict=True)] == wanted
    assert block.source.flatten()[rows.answers].tolist() == list(range(18))
    assert block.prompts == [(0, 3, 0, 3), (3, 4, 9, 2), (4, 6, 12, 3)]


def test_rollouts_of_unlike_lengths_attend_apart():
    lengths = torch.tensor([60, 200, 61, 125, 126])  # with a prompt of 3: 63, 203, 64, 128, 129
    rows = SharedPrefixes(
        torch.ones(5, 3, dtype=torch.int64), torch.full((5,), 3), torch.ones(5, 200, dtype=torch.int64), lengths
    )
    assert [tuple(block.source.shape) for block in rows.blocks] == [(2, 64), (1, 128), (1, 129), (1, 203)]
    joined = torch.cat([block.source.flatten() for block in rows.blocks])
    assert joined[rows.answers].tolist() == list(range(3 + int(lengths.sum())))


def test_no_rollout_is_padded_by_a_fifth():
    lengths = torch.arange(64, 700)
    prompts, responses = torch.ones(len(lengths), 1, dtype=torch.int64), torch.ones(len(lengths), 699).long()
    rows = SharedPrefixes(prompts, prompts[:, 0], responses, lengths - 1)
    padded = [block.source.shape[1] for block in rows.blocks for _ in range(len(block.source))]  # shorter ones first
    assert max(whole / own for whole, own in zip(padded, lengths.tolist(), strict=True)) < 1.2


@pytest.fixture(params=["qwen2", "llama"])
def models(request, build_models):
    return build_models(request.getfixturevalue(f"{request.param}_folder"))


def inputs(vocabulary, groups=((4, 3), (2, 2), (70, 4))):
    """Groups of (prompt tokens, rollouts), responses of 1 to 90 tokens, padding that must not be read."""
    generator = torch.Generator().manual_seed(1)
    prompts = torch.randint(3, vocabulary, (len(groups), 70), generator=generator)
    owner = torch.tensor([g for g, (_, count) in enumerate(groups) for _ in range(count)])
    prompt_lengths = torch.tensor([length for length, _ in groups])[owner]
    response_lengths = torch.tensor([5, 90, 1, 4, 2, 40, 7, 66, 3])[: len(owner)]
    responses = torch.randint(3, vocabulary, (len(owner), 90), generator=generator)
    return prompts[owner], prompt_lengths, responses, response_lengths


def gradients(model, values, entropies):
    weights = torch.linspace(0.5, 1.5, values.numel()).view_as(values)
    model.zero_grad()
    with prefix_sharing(model):
        ((values * weights).sum() + (entropies * weights.flip(1)).sum()).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def one_by_one(model, given, vocab_size):
    """Values and entropies by a plain forward of every rollout."""
    prompts, prompt_lengths, responses, response_lengths = given
    values, entropies = torch.zeros(2, *responses.shape).unbind()
    values, entropies = list(values), list(entropies)
    for i in range(len(prompts)):
        s, t = int(prompt_lengths[i]), int(response_lengths[i])
        logits = model(torch.cat([prompts[i, :s], responses[i, :t]])[None]).logits[0, s - 1 : s + t - 1, :vocab_size]
        logp = logits.log_softmax(-1)
        pad = (0, responses.shape[1] - t)
        values[i] = torch.nn.functional.pad(logp.gather(1, responses[i, :t, None]).squeeze(1), pad)
        entropies[i] = torch.nn.functional.pad(-(logp.exp() * logp).sum(-1), pad)
    return torch.stack(values), torch.stack(entropies)


def assert_equal_up_to_rounding(model, given, vocab_size):
    expected = one_by_one(model, given, vocab_size)
    expected_gradients = gradients(model, *expected)
    found = token_logprobs(model, *given, vocab_size=vocab_size)[:2]
    assert torch.allclose(found[0], expected[0], atol=1e-5)
    assert torch.allclose(found[1], expected[1], atol=1e-5)
    found_gradients = gradients(model, *found)
    assert found_gradients.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        assert torch.allclose(found_gradients[name], gradient, atol=2e-5 * max(1.0, float(gradient.abs().max()))), name


def test_values_and_gradients_are_those_of_plain_forwards(models):
    assert_equal_up_to_rounding(models.policy, inputs(models.vocabulary.size), models.vocabulary.size)


def test_a_sliding_window_ends_where_it_does_in_a_plain_forward():
    config = Qwen2Config(
        vocab_size=50,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=7,  # one block of rollouts ends just behind it
        max_window_layers=1,
    )
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(config)
    assert config.layer_types == ["full_attention", "sliding_attention"]
    assert_equal_up_to_rounding(model, inputs(50), 50)


def test_layers_that_run_again_on_the_way_back_give_the_same_gradients(models):
    given, size = inputs(models.vocabulary.size), models.vocabulary.size
    model = models.policy
    expected = gradients(model, *token_logprobs(model, *given, vocab_size=size)[:2])
    model.train()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert model.model.layers[0]._gradient_checkpointing_func.func is checkpoint
    found = gradients(model, *token_logprobs(model, *given, vocab_size=size)[:2])
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, atol=1e-6 * max(1.0, float(gradient.abs().max()))), name


def test_the_model_attends_as_before_afterwards(models):
    before = models.policy.config._attn_implementation
    with pytest.raises(RuntimeError, match="stop"), prefix_sharing(models.policy):
        assert models.policy.config._attn_implementation == SHARED_PREFIX_ATTENTION
        raise RuntimeError("stop")
    assert models.policy.config._attn_implementation == before


@pytest.mark.parametrize("options", [{}, {"rows": True, "softcap": 30.0}, {"rows": True, "s_aux": 1}])
def test_an_attention_that_does_more_is_refused(options):
    with pytest.raises(UsageError, match="Linear caps its attention scores"):
        attend_shared(torch.nn.Linear(1, 1), *torch.zeros(3, 1, 1, 1, 1), None, **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scaling": 0.0}, 1.5),  # halves
        ({"scaling": math.log(3)}, 1.75),  # ¼ and ¾
        ({"dropout": 1.0}, 0.0),
    ],
)
def test_scores_are_scaled_and_dropped_as_the_layer_says(options, expected):
    one = torch.tensor([1])
    rows = SharedPrefixes(one[None], one, one[None], one)
    # the second of two tokens scores 0 on the first key and 1 on the second, whose values are 1 and 2
    query, key, value = torch.ones(2), torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])
    states = [column.view(1, 1, 2, 1) for column in (query, key, value)]
    output, _ = attend_shared(None, *states, None, rows=rows, **options)
    assert output[0, 1].item() == pytest.approx(expected)


def test_a_model_with_layers_that_do_not_attend_is_refused():
    config = Lfm2Config(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        layer_types=["conv", "full_attention"],
    )
    with pytest.raises(UsageError, match="Lfm2ForCausalLM: 1 of 2 layers attend by way of"):
        token_logprobs(Lfm2ForCausalLM(config), *inputs(50), vocab_size=50)
