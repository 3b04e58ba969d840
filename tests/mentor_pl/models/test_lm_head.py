"""log π, H and divergences through the output embedding: against plain formulas, in chunks, half precision, memory."""

import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mentor_pl.models import lm_head
from mentor_pl.models.lm_head import ExpertStates, chunk_tokens, head_choices, head_logprobs

M, H, V, PADDED = 13, 6, 11, 14


def inputs(bias=False, dtype=torch.float32):
    """States [M, H], targets [M] and a head whose last rows belong to no id."""
    torch.manual_seed(0)
    head = nn.Linear(H, PADDED, bias=bias).to(dtype)
    return torch.randn(M, H).to(dtype).requires_grad_(), torch.randint(0, V, (M,)), head


def plain(states, targets, head, vocab_size, temperature):
    logp = (head(states)[:, :vocab_size].float() / temperature).log_softmax(-1)
    return logp.gather(1, targets[:, None]).squeeze(1), -(logp.exp() * logp).sum(-1)


def results(function, states, targets, head, temperature=1.0, weights=(1.0, 1.0)):
    """Both values, then the gradients of a sum that weighs every value differently: of states, W, b."""
    logprobs, entropies = function(states, targets, head, V, temperature)[:2]
    slopes = torch.linspace(-1, 2, M)
    parts = [w * (slopes * x).sum() for w, x in zip(weights, (logprobs, entropies.flip(0)), strict=True) if w]
    gradients = torch.autograd.grad(sum(parts), [states, *head.parameters()])
    return [logprobs.detach(), entropies.detach(), *gradients]


@pytest.mark.parametrize("tokens", [1, 5, 13, 100])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (1.0, 0.5)])
@pytest.mark.parametrize("bias", [False, True])
def test_values_and_gradients_are_those_of_the_plain_formulas(tokens, temperature, weights, bias, monkeypatch):
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: tokens)
    ours = results(head_logprobs, *inputs(bias), temperature, weights)
    expected = results(plain, *inputs(bias), temperature, weights)
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == b.dtype
        assert (a - b).norm() <= 1e-6 * b.norm().clamp(min=1)


def test_a_frozen_head_costs_no_gradient_and_states_have_the_same(monkeypatch):
    expected = results(head_logprobs, *inputs(bias=True))[2]
    states, targets, head = inputs(bias=True)
    head.requires_grad_(False)
    monkeypatch.setattr(lm_head, "_add_product", lambda *_: pytest.fail("the gradient of W was computed"))
    logprobs, entropies = head_logprobs(states, targets, head, V, 1.0)[:2]
    slopes = torch.linspace(-1, 2, M)
    ((slopes * logprobs).sum() + (slopes * entropies.flip(0)).sum()).backward()
    assert torch.equal(states.grad, expected)
    assert head.weight.grad is None and head.bias.grad is None


def test_rows_beyond_the_vocabulary_get_no_gradient():
    _, _, _, gradient = results(head_logprobs, *inputs())
    assert not gradient[V:].any()
    assert gradient[:V].any(-1).all()


@pytest.mark.parametrize("tokens", [2, 13])
def test_under_autocast_logits_are_those_of_the_head_and_gradients_are_float32(tokens, monkeypatch):
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: tokens)
    states, targets, head = inputs(bias=True)
    with torch.autocast("cpu", torch.bfloat16):
        ours = results(head_logprobs, states, targets, head)
        expected = results(plain, states, targets, head)
    assert torch.equal(ours[0], expected[0])
    assert torch.allclose(ours[1], expected[1], atol=1e-6)
    for a, b in zip(ours[2:], expected[2:], strict=True):
        assert a.dtype == torch.float32
        assert (a - b).norm() <= 5e-3 * b.norm()  # both round to 8 bits, in different places


def test_the_gradient_of_a_half_precision_head_is_summed_in_float32(monkeypatch):
    """600 tokens with equal gradients, one a chunk: a sum of bfloat16 numbers would stop growing at 256 of them."""
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: 1)
    head = nn.Linear(1, 2, bias=False).bfloat16()
    nn.init.zeros_(head.weight)
    states, targets = torch.ones(600, 1).bfloat16(), torch.zeros(600, dtype=torch.int64)
    head_logprobs(states, targets, head, 2, 1.0).logprobs.sum().backward()
    assert head.weight.grad.tolist() == [[300.0], [-300.0]]  # 600 · (1 − ½) and 600 · (−½)


WIDTH = 9  # the expert's hidden size


def expert_inputs(dtype=torch.float32, bias=False):
    """An expert's states and its head, wider than the policy's and padded by other rows, which would outweigh all."""
    torch.manual_seed(1)
    head = nn.Linear(WIDTH, V + 5, bias=bias).requires_grad_(False)
    head.weight[V:] *= 1000
    return ExpertStates(torch.randn(M, WIDTH).to(dtype), head.to(dtype))


def plain_extras(states, head, choices, expert, temperature):
    """log π(choice), KL(π ‖ π*), KL(π* ‖ π) from all logits at once, and log π and H with them."""
    logp = (head(states)[:, :V].double() / temperature).log_softmax(-1)
    expert_logp = (expert.head(expert.states)[:, :V].double() / temperature).log_softmax(-1)
    gap = logp - expert_logp
    chosen = logp.gather(1, choices[:, None]).squeeze(1)
    return chosen, (logp.exp() * gap).sum(-1), -(expert_logp.exp() * gap).sum(-1), -(logp.exp() * logp).sum(-1)


def extras(states, targets, head, choices, expert, temperature):
    values = head_logprobs(states, targets, head, V, temperature, choices=choices, expert=expert)
    return values.choice_logprobs, values.reverse_kl, values.forward_kl, values.entropies


def weighted(values, weights):
    """The sum of what has a weight, every token's value weighed differently."""
    slopes = [w * torch.linspace(-1, 2, M).roll(i) for i, w in enumerate(weights)]
    return sum((slope * x).sum() for slope, x in zip(slopes, values, strict=True) if slope.any())


@pytest.mark.parametrize("tokens", [1, 5, 100])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("weights", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0.3), (1, 0.5, -2, 0.3)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("expert_dtype", [torch.float32, torch.bfloat16])
def test_choices_and_divergences_are_those_of_all_logits_at_once(
    tokens, temperature, weights, bias, expert_dtype, monkeypatch
):
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: tokens)
    states, targets, head = inputs(bias)
    choices, expert = targets.roll(1), expert_inputs(expert_dtype, bias)
    assert (choices == targets).any()
    found = extras(states, targets, head, choices, expert, temperature)
    expected = plain_extras(states, head, choices, expert, temperature)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == torch.float32
        assert (a - b).abs().max() <= 1e-6 * b.abs().max().clamp(min=1)
    ours, theirs = (
        torch.autograd.grad(weighted(values, weights), [states, *head.parameters()]) for values in (found, expected)
    )
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).norm() <= 1e-6 * b.norm().clamp(min=1)


def test_a_choice_that_is_the_token_itself_adds_to_its_gradient():
    states, targets, head = inputs()
    values = head_logprobs(states, targets, head, V, 1.0, choices=targets)
    assert torch.equal(values.choice_logprobs, values.logprobs)
    (both,) = torch.autograd.grad((values.logprobs + values.choice_logprobs).sum(), states, retain_graph=True)
    (one,) = torch.autograd.grad(values.logprobs.sum(), states)
    assert torch.allclose(both, 2 * one, atol=1e-6)


def test_divergences_by_hand_also_where_probabilities_underflow():
    """π = ¾, ¼ and π* = ¼, ¾: both divergences ½ ln 3. Then π = 1, e⁻²⁰⁰ against ½, ½: ln 2, and 100 − ln 2."""
    policy, expert = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    policy.weight.data = torch.tensor([[math.log(3), 200.0], [0.0, 0.0]])
    expert.weight.data = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    states = torch.eye(2, requires_grad=True)
    ids = torch.zeros(2, dtype=torch.int64)
    values = head_logprobs(states, ids, policy, 2, 1.0, expert=ExpertStates(torch.eye(2), expert))
    assert values.reverse_kl.tolist() == pytest.approx([math.log(3) / 2, math.log(2)])
    assert values.forward_kl.tolist() == pytest.approx([math.log(3) / 2, 100 - math.log(2)])
    (values.reverse_kl + values.forward_kl).sum().backward()
    # of the first logit: ¾ (ln 3 − ½ ln 3) + ¾ − ¼; then 0 + 1 − ½
    assert policy.weight.grad[0].tolist() == pytest.approx([0.375 * math.log(3) + 0.5, 0.5])
    assert policy.weight.grad.sum(0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert expert.weight.grad is None


def test_what_is_asked_for_beside_them_leaves_log_probabilities_and_entropies_as_they_are():
    states, targets, head = inputs()
    alone = head_logprobs(states, targets, head, V, 0.7)
    more = head_logprobs(states, targets, head, V, 0.7, choices=targets, expert=expert_inputs())
    assert alone[2:] == (None, None, None)
    for a, b in zip(alone[:2], more[:2], strict=True):
        assert torch.equal(a, b)
    ours, theirs = (torch.autograd.grad(weighted(v[:2], (1, 1)), [states, head.weight]) for v in (alone, more))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_under_autocast_the_experts_logits_are_those_of_its_head(monkeypatch):
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: 5)
    states, targets, head = inputs()
    expert = expert_inputs()
    with torch.autocast("cpu", torch.bfloat16):
        found = extras(states, targets, head, targets, expert, 1.0)
        expected = plain_extras(states, head, targets, expert, 1.0)
        chosen, likeliest = head_choices(expert.states, expert.head, V), expert.head(expert.states)[:, :V].argmax(-1)
    assert torch.equal(chosen, likeliest)
    for a, b in zip(found, expected, strict=True):
        assert torch.allclose(a.double(), b, atol=1e-6)
    (found[1] + found[2]).sum().backward()  # by now autocast is off: the same logits must come again
    mine, states.grad = states.grad, None
    (expected[1] + expected[2]).sum().backward()
    assert (mine - states.grad).norm() <= 5e-3 * states.grad.norm()


@pytest.mark.parametrize("tokens", [1, 5, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bias", [False, True])
def test_choices_are_the_likeliest_ids_of_the_vocabulary(tokens, dtype, bias, monkeypatch):
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: tokens)
    expert = expert_inputs(dtype, bias)
    choices = head_choices(expert.states, expert.head, V)
    assert choices.dtype == torch.int64
    assert torch.equal(choices, expert.head(expert.states)[:, :V].argmax(-1))


class LargestTensor(TorchDispatchMode):
    """Number of elements of the largest tensor that any operation returns."""

    largest = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        sizes = [x.untyped_storage().nbytes() // 4 for x in tree_flatten(result)[0] if isinstance(x, torch.Tensor)]
        self.largest = max(self.largest, *sizes, 0)
        return result


def test_neither_pass_holds_more_of_the_logits_than_two_chunks(monkeypatch):
    """200 tokens over 1,000 ids in chunks of 10: 20,000 numbers, not 200,000."""
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: 10)
    states, targets = torch.randn(200, 4, requires_grad=True), torch.randint(0, 1000, (200,))
    with LargestTensor() as seen:
        values = head_logprobs(states, targets, nn.Linear(4, 1000, bias=False), 1000, 1.0)
        (values.logprobs + values.entropies).sum().backward()
    assert seen.largest == 2 * 10 * 1000


def test_with_an_expert_neither_pass_holds_more_than_three_chunks(monkeypatch):
    """And one to find the likeliest ids."""
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: 10)
    states, targets = torch.randn(200, 4, requires_grad=True), torch.randint(0, 1000, (200,))
    expert = ExpertStates(torch.randn(200, 6), nn.Linear(6, 1000, bias=False))
    with LargestTensor() as seen:
        targets = head_choices(expert.states, expert.head, 1000)
    assert seen.largest == 10 * 1000
    with LargestTensor() as seen:
        head = nn.Linear(4, 1000, bias=False)
        values = head_logprobs(states, targets, head, 1000, 1.0, choices=targets, expert=expert)
        torch.stack(values).sum().backward()
    assert seen.largest == 3 * 10 * 1000


def test_chunks_fill_the_cache_or_hold_as_many_tokens_as_a_state_has_numbers():
    assert chunk_tokens(1024, 128) == 2048  # 2^21 / 2^10
    assert chunk_tokens(2**16, 1024) == 1024  # the cache would hold 32
    assert chunk_tokens(2**17, 4096) == 512  # 2^26 / 2^17 at most
    assert chunk_tokens(2**28, 64) == 1
