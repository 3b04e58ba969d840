"""log π, H and divergences of response tokens: by hand, against plain forwards, in chunks, sharded."""

import math
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from mentor_pl.models import lm_head
from mentor_pl.models.lm_head import ExpertStates
from mentor_pl.models.logprobs import expert_says, response_states, token_logprobs
from mentor_pl.models.prefix_sharing import prefix_sharing
from mentor_pl.runtime.parallel import shard


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


@pytest.fixture
def pair(qwen2_folder, qwen2_expert_folder, build_models):
    return build_models(qwen2_folder, qwen2_expert_folder)


def with_neighbours(models):
    """Six rollouts, two of each prompt, and padding that must not be read."""
    prompts, prompt_lengths, responses, response_lengths = ragged(models)
    owner, rows = torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([0, 1, 2, 3, 4, 1])
    return prompts[owner], prompt_lengths[owner], responses[rows], response_lengths[rows]


def divergences(models, inputs, temperature=1.0):
    """The expert's choices, log π_θ of them, both divergences: as an update would ask for them."""
    policy, expert, size = models.policy, models.expert, models.vocabulary.size
    choices = expert_says(expert, *inputs, vocab_size=size, choices=True, divergences=False)["choices"]
    with torch.no_grad():
        theirs = ExpertStates(response_states(expert, *inputs), expert.get_output_embeddings())
    values = policy.token_logprobs(*inputs, vocab_size=size, temperature=temperature, choices=choices, expert=theirs)
    return choices, *values[2:]


def plain_divergences(models, inputs, temperature):
    """The same from plain forwards of one rollout at a time."""
    prompts, prompt_lengths, responses, response_lengths = inputs
    rows = []
    for row, (s, t) in enumerate(zip(prompt_lengths.tolist(), response_lengths.tolist(), strict=True)):
        ids = torch.cat([prompts[row, :s], responses[row, :t]])[None]
        ours, theirs = (
            model(ids).logits[0, s - 1 : -1, : models.vocabulary.size] for model in (models.policy, models.expert)
        )
        logp, expert_logp = ((x.double() / temperature).log_softmax(-1) for x in (ours, theirs))
        choices, gap = theirs.argmax(-1), logp - expert_logp
        chosen = logp.gather(1, choices[:, None]).squeeze(1)
        found = choices, chosen, (logp.exp() * gap).sum(-1), -(expert_logp.exp() * gap).sum(-1)
        rows.append([nn.functional.pad(x, (0, responses.shape[1] - t)) for x in found])
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def gradients_of(policy, values):
    """Of a sum that weighs every value differently; whole, where they are sharded."""
    weights = torch.linspace(0.5, 1.5, values[0].numel()).view_as(values[0])
    policy.zero_grad()
    with prefix_sharing(policy):
        sum((v * weights.roll(i)).sum() for i, v in enumerate(values)).backward()
    return {n: p.grad.full_tensor() if isinstance(p, DTensor) else p.grad for n, p in policy.named_parameters()}


def assert_close(ours, theirs, scale):
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert torch.allclose(ours[name], gradient, atol=scale * max(1.0, float(gradient.abs().max()))), name


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_choices_and_divergences_are_those_of_plain_forwards_also_where_prompts_are_shared(
    pair, temperature, monkeypatch
):
    monkeypatch.setattr(lm_head, "chunk_tokens", lambda vocab_size, hidden_size: 4)
    inputs = with_neighbours(pair)
    choices, *values = divergences(pair, inputs, temperature)
    expected_choices, *expected = plain_divergences(pair, inputs, temperature)
    assert torch.equal(choices, expected_choices)
    padding = torch.arange(7) >= inputs[3][:, None]
    for a, b in zip(values, expected, strict=True):
        assert torch.allclose(a.double(), b, atol=1e-5)
        assert not a[padding].any()
    assert_close(gradients_of(pair.policy, values), gradients_of(pair.policy, expected), 2e-5)
    assert all(p.grad is None for p in pair.expert.parameters())


@pytest.fixture
def mesh():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def test_a_sharded_policy_gives_the_same_values_and_gradients(pair, mesh):
    """Of a loss of divergences alone, whose tensors sharding must find in what the forward returns."""
    inputs = with_neighbours(pair)
    _, *expected = divergences(pair, inputs)
    expected_gradients = gradients_of(pair.policy, expected)
    shard(pair.policy, mesh)
    _, *found = divergences(pair, inputs)
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)
    assert_close(gradients_of(pair.policy, found), expected_gradients, 1e-6)
