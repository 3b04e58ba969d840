"""What a model on tensors without memory would hold is what the model itself holds."""

import pytest
import torch

from mentor_pl.models.dry_run import DryModel, LiveBytes, tensor_bytes
from mentor_pl.models.loading import load_frozen, load_policy
from mentor_pl.models.logprobs import expert_says
from mentor_pl.models.prefix_sharing import prefix_sharing
from mentor_pl.models.source import ModelSource

FLOAT = 4


def test_a_storage_counts_while_it_lives_and_once_whatever_views_it_has():
    outside = torch.zeros(1000)
    with LiveBytes() as live:
        outside.view(10, 100).t()  # was there before
        a = torch.zeros(10)
        b = a[:5] + 1
        c = a.view(2, 5)
        assert live.now == FLOAT * (10 + 5)
        del a, c
        assert live.now == FLOAT * 5
        torch.zeros(100)  # dies at once
        b.add_(1)
    assert live.now == FLOAT * 5
    assert live.peak == FLOAT * (5 + 100)


@pytest.mark.parametrize("folder", ["qwen2_folder", "qwen3_folder", "llama_folder"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_are_those_of_the_loaded_model(folder, dtype, request):
    source = ModelSource(str(request.getfixturevalue(folder)), "expert")
    dry, loaded = DryModel(source, dtype), load_frozen(source, dtype)
    assert dry.weight_bytes == tensor_bytes([*loaded.parameters(), *loaded.buffers()])
    assert dry.parameters == sum(p.numel() for p in loaded.parameters())


def test_no_weights_are_read(qwen2_folder, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((qwen2_folder / name).read_bytes())
    assert DryModel(ModelSource(str(tmp_path), "policy"), torch.float32).parameters > 0


def test_shards_are_the_first_ranks_and_the_largest(qwen2_folder):
    dry = DryModel(ModelSource(str(qwen2_folder), "policy"), torch.float32)
    shapes = dry.shard_shapes(3)
    assert torch.Size((110, 32)) in shapes  # of the embedding's 328 rows
    assert torch.Size((11,)) in shapes  # of a norm's 32
    layer, root = dry.largest_layer()
    assert 2 * layer + root == dry.parameters
    assert root == 2 * 328 * 32 + 32  # embedding, output embedding, last norm


@pytest.mark.parametrize("checkpointing", [False, True])
def test_an_updates_peak_is_what_the_real_one_holds(qwen2_folder, checkpointing):
    source = ModelSource(str(qwen2_folder), "policy")
    prompts, responses, group = [6, 6, 4], [20, 12, 16], [0, 0, 1]
    estimate = DryModel(source, torch.float32).update_bytes(
        prompts, responses, group, vocab_size=320, autocast=False, checkpointing=checkpointing
    )
    policy = load_policy(source, checkpointing)
    for parameter in policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    ids = torch.tensor([[1] * 6, [1] * 6, [2] * 4 + [0] * 2])
    with LiveBytes() as live:
        values = policy.token_logprobs(
            ids, torch.tensor(prompts), torch.zeros(3, 20).long(), torch.tensor(responses), vocab_size=320
        )
        with prefix_sharing(policy):
            (values.logprobs + values.entropies).sum().backward()
    # beside it lie the layout of the rows, the ids, and the padded results: a few kB
    assert estimate == pytest.approx(live.peak, rel=0.03)


def test_an_updates_peak_beside_an_expert_is_what_the_real_one_holds(qwen2_folder, qwen2_expert_folder):
    sources = ModelSource(str(qwen2_folder), "policy"), ModelSource(str(qwen2_expert_folder), "expert")
    rows = [6, 6, 4], [20, 12, 16], [0, 0, 1]
    mine, theirs = (DryModel(source, torch.float32) for source in sources)
    estimate = mine.update_bytes(*rows, vocab_size=320, autocast=False, checkpointing=False, expert=theirs)
    alone = mine.update_bytes(*rows, vocab_size=320, autocast=False, checkpointing=False)
    policy, expert = load_policy(sources[0]), load_frozen(sources[1], torch.float32)
    for parameter in policy.parameters():
        parameter.grad = torch.zeros_like(parameter)
    lengths = torch.tensor(rows[1])
    ids = torch.tensor([[1] * 6, [1] * 6, [2] * 4 + [0] * 2]), torch.tensor(rows[0]), torch.zeros(3, 20).long(), lengths
    with LiveBytes() as live:
        said = expert_says(expert, *ids, vocab_size=320, choices=False, divergences=True)
        values = policy.token_logprobs(*ids, vocab_size=320, **said)
        with prefix_sharing(policy):
            (values.logprobs + values.entropies + values.reverse_kl + values.forward_kl).sum().backward()
    assert estimate == pytest.approx(live.peak, rel=0.03)
    assert estimate > 1.03 * alone


def test_a_pass_without_gradients_holds_what_the_real_one_does(qwen2_folder):
    source, lengths = ModelSource(str(qwen2_folder), "policy"), torch.tensor([20, 12, 16])
    estimate = DryModel(source, torch.float32).reading_bytes(
        [6, 6, 4], [20, 12, 16], [0, 0, 1], vocab_size=320, autocast=False
    )
    model = load_frozen(source, torch.float32)
    ids = torch.tensor([[1] * 6, [1] * 6, [2] * 4 + [0] * 2])
    with LiveBytes() as live, torch.no_grad():
        model.token_logprobs(ids, torch.tensor([6, 6, 4]), torch.zeros(3, 20).long(), lengths, vocab_size=320)
    assert estimate == pytest.approx(live.peak, rel=0.05)


def test_checkpointing_takes_less_and_longer_responses_more(qwen2_folder):
    dry = DryModel(ModelSource(str(qwen2_folder), "policy"), torch.float32)
    plain, saved, longer = (
        dry.update_bytes([4], [n], [0], vocab_size=320, autocast=False, checkpointing=c)
        for n, c in ((400, False), (400, True), (500, False))
    )
    assert saved < plain < longer
