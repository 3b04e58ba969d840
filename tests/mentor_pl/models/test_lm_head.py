"""log π and H through the output embedding: against the plain formulas, in chunks, in half precision, in memory."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from mentor_pl.models import lm_head
from mentor_pl.models.lm_head import chunk_tokens, head_logprobs

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


def test_chunks_fill_the_cache_or_hold_as_many_tokens_as_a_state_has_numbers():
    assert chunk_tokens(1024, 128) == 2048  # 2^21 / 2^10
    assert chunk_tokens(2**16, 1024) == 1024  # the cache would hold 32
    assert chunk_tokens(2**17, 4096) == 512  # 2^26 / 2^17 at most
    assert chunk_tokens(2**28, 64) == 1
