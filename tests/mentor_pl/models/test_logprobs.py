"""log π and H of response tokens: by hand, against plain forwards, and in chunks."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mentor_pl.models import lm_head
from mentor_pl.models.logprobs import token_logprobs


class TableLM(nn.Module):
    """A model whose logits are a table's row of the last token: base model = one-hot, head = the table's transpose."""

    def __init__(self, table):
        super().__init__()
        self.head = nn.Linear(*table.shape, bias=False)
        self.head.weight.data = table.T.contiguous()
        self.base_model = lambda input_ids, **_: SimpleNamespace(
            last_hidden_state=nn.functional.one_hot(input_ids, len(table)).float()
        )

    def get_output_embeddings(self):
        return self.head


def test_values_by_hand():
    # after token 0 the ids have ½, ¼, ¼; after token 1 they have 1, 0, 0 (nearly); a fourth column is padding
    table = torch.tensor([[0.5, 0.25, 0.25, 1e9], [1.0, 1e-30, 1e-30, 1e9], [1.0, 1.0, 1.0, 1e9], [1.0] * 4]).log()
    values, entropies = token_logprobs(
        TableLM(table),
        torch.tensor([[2, 0], [1, 99]]),
        torch.tensor([2, 1]),
        torch.tensor([[1, 0, 99], [0, 2, 0]]),  # read after 0, 1; and after 1, 0, 2
        torch.tensor([2, 3]),
        vocab_size=3,
    )[:2]
    assert values.tolist() == [
        pytest.approx([math.log(0.25), 0.0, 0.0], abs=1e-6),
        pytest.approx([0.0, math.log(0.25), math.log(1 / 3)], abs=1e-6),
    ]
    # ½ ln 2 + ½ ln 4 = 1.5 ln 2, then certainty, then ln 3
    assert entropies.tolist() == [
        pytest.approx([1.5 * math.log(2), 0.0, 0.0], abs=1e-6),
        pytest.approx([0.0, 1.5 * math.log(2), math.log(3)], abs=1e-6),
    ]


def test_temperature_divides_the_logits():
    # ⅘ and ⅕ at temperature 2 are in proportion 2 : 1
    values, entropies = token_logprobs(
        TableLM(torch.tensor([[0.8, 0.2]] * 2).log()),
        torch.tensor([[0]]),
        torch.tensor([1]),
        torch.tensor([[1]]),
        torch.tensor([1]),
        vocab_size=2,
        temperature=2.0,
    )[:2]
    assert values.item() == pytest.approx(math.log(1 / 3))
    assert entropies.item() == pytest.approx(math.log(3) - 2 / 3 * math.log(2))


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def models(request, build_models):
    return build_models(request.getfixturevalue(f"{request.param}_folder"))


def ragged(models):
    """Five rows whose prompts and responses all differ in length, padded with an id that must not be read."""
    generator = torch.Generator().manual_seed(2)
    prompt_lengths, response_lengths = torch.tensor([3, 1, 6, 2, 4]), torch.tensor([5, 7, 1, 4, 2])
    prompts = torch.randint(3, models.vocabulary.size, (5, 6), generator=generator)
    responses = torch.randint(3, models.vocabulary.size, (5, 7), generator=generator)
    return prompts, prompt_lengths, responses, response_lengths


def with_gradients(models, inputs, **options):
    """Values, entropies and the gradient of a sum that weighs every one of them differently."""
    models.policy.zero_grad()
    values, entropies = token_logprobs(models.policy, *inputs, vocab_size=models.vocabulary.size, **options)[:2]
    weights = torch.linspace(0.5, 1.5, values.numel()).view_as(values)
    ((values * weights).sum() + (entropies * weights.flip(1)).sum()).backward()
    gradients = {n: p.grad.clone() for n, p in models.policy.named_parameters() if p.grad is not None}
    return values.detach(), entropies.detach(), gradients


@pytest.mark.parametrize("tokens", [1, 4, 19])  # 19 response tokens in all; 4 leaves a remainder
def test_chunks_give_the_same_values_and_gradients_as_one_piece(tokens, models, monkeypatch):
    inputs = ragged(models)
    values, entropies, gradients = with_gradients(models, inputs, temperature=0.8)
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: tokens)
    chunked_values, chunked_entropies, chunked_gradients = with_gradients(models, inputs, temperature=0.8)
    assert torch.allclose(values, chunked_values, atol=1e-6)
    assert torch.allclose(entropies, chunked_entropies, atol=1e-6)
    assert gradients.keys() == chunked_gradients.keys() == dict(models.policy.named_parameters()).keys()
    for name, gradient in gradients.items():
        assert torch.allclose(gradient, chunked_gradients[name], atol=5e-6 * max(1.0, float(gradient.abs().max()))), (
            name
        )


def test_ragged_rows_equal_rows_alone(models):
    inputs = ragged(models)
    with torch.no_grad():
        values, entropies = token_logprobs(models.policy, *inputs, vocab_size=models.vocabulary.size)[:2]
        for row in range(5):
            prompts, prompt_lengths, responses, response_lengths = (column[row : row + 1] for column in inputs)
            s, t = int(prompt_lengths), int(response_lengths)
            alone = token_logprobs(
                models.policy,
                prompts[:, :s],
                prompt_lengths,
                responses[:, :t],
                response_lengths,
                vocab_size=models.vocabulary.size,
            )
            assert torch.allclose(values[row, :t], alone[0][0], atol=1e-5)
            assert torch.allclose(entropies[row, :t], alone[1][0], atol=1e-5)
            assert not values[row, t:].any()
            assert not entropies[row, t:].any()


def test_every_token_is_predicted_by_what_lies_before_it(models):
    prompts, prompt_lengths, responses, response_lengths = ragged(models)
    size = models.vocabulary.size
    with torch.no_grad():
        values, entropies = token_logprobs(
            models.policy, prompts, prompt_lengths, responses, response_lengths, vocab_size=size, temperature=0.7
        )[:2]
        for row in range(5):
            prompt, response = prompts[row, : prompt_lengths[row]], responses[row, : response_lengths[row]]
            for place, token in enumerate(response):
                before = torch.cat([prompt, response[:place]])[None]
                logp = (models.policy(before).logits[0, -1, :size].double() / 0.7).log_softmax(-1)
                assert values[row, place].item() == pytest.approx(logp[token].item(), abs=1e-4)
                assert entropies[row, place].item() == pytest.approx(-(logp.exp() * logp).sum().item(), abs=1e-4)


def test_padded_rows_of_the_embedding_get_no_gradient(models):
    _, _, gradients = with_gradients(models, ragged(models))
    head = gradients["lm_head.weight"]
    assert len(head) > models.vocabulary.size
    assert not head[models.vocabulary.size :].any()
    assert head[: models.vocabulary.size].any()


def test_results_are_float32_also_of_a_bfloat16_model():
    model = TableLM(torch.zeros(3, 3)).bfloat16()
    base = model.base_model
    model.base_model = lambda **inputs: SimpleNamespace(last_hidden_state=base(**inputs).last_hidden_state.bfloat16())
    one = torch.tensor([1])
    values, entropies = token_logprobs(model, one[None], one, one[None], one, vocab_size=3)[:2]
    assert values.dtype == entropies.dtype == torch.float32
