"""Logits read through a ragged cache are those of plain forwards over whole sequences, however they came to be read."""

import random
from types import SimpleNamespace

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from mentor_pl.decoding.engine import attention_metadata
from mentor_pl.decoding.engine import model_runner as runner_file
from mentor_pl.decoding.engine.attention_metadata import Varlen
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.runtime.errors import UsageError

IDS, LENGTH = 40, 24
SIZES = {
    "vocab_size": IDS,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.25,  # distributions that are far from uniform, so that what is read matters
}
MODELS = {
    "llama, a key head per query head": LlamaConfig(num_key_value_heads=4, **SIZES),
    "qwen2, two query heads per key head": Qwen2Config(num_key_value_heads=2, **SIZES),
    "qwen3, four query heads per key head": Qwen3Config(num_key_value_heads=1, head_dim=16, **SIZES),
    "granite, scores have a scale of its own": GraniteConfig(num_key_value_heads=2, attention_multiplier=1.0, **SIZES),
    "mistral, all layers see 5 tokens": MistralConfig(num_key_value_heads=2, sliding_window=5, **SIZES),
    "qwen2, the last two layers see 5 tokens": Qwen2Config(
        num_key_value_heads=2, use_sliding_window=True, sliding_window=5, max_window_layers=1, **SIZES
    ),
}


@pytest.fixture(scope="module", params=MODELS.values(), ids=MODELS)
def model(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(request.param).eval()


def text(length, seed=0):
    return torch.randint(IDS, (length,), generator=torch.Generator().manual_seed(100 * seed + length)).tolist()


def plain(model, sequence):
    """Logits after every token of one sequence, [n, W], by a forward without any cache."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([sequence]), use_cache=False).logits[0]


@pytest.fixture(
    params=[(LENGTH, False), (5, False), (1, False), (2, True)],
    ids=["rows", "pages of 5", "pages of 1", "pages of 2 where they lie"],
)
def ragged_of(request):
    """(model, slots) -> a runner whose rows are a page each, or pages that lie in any order."""
    size, kernel = request.param
    if kernel:
        request.getfixturevalue("plain_kernel")
    return lambda model, slots: Ragged(model, slots, size)


class Ragged:
    """A runner whose calls are made as the engine makes them."""

    def __init__(self, model, slots, size):
        count = slots * -(-LENGTH // size)
        pages = PageTable(slots, LENGTH, size, count, torch.device("cpu"))
        random.Random(0).shuffle(pages.free)
        for slot in range(slots):
            assert pages.reserve(slot, LENGTH)
        pages.upload()
        self.runner = ModelRunner(model, pages)

    def _call(self, name, *arguments):
        with torch.no_grad(), cached_attention(self.runner.model):
            return getattr(self.runner, name)(*arguments)

    def prefill(self, prompts, slots):
        return self._call("prefill", prompts, slots)

    def step(self, tokens, positions, width=None):
        return self._call("step", torch.tensor(tokens), torch.tensor(positions), width or max(positions) + 1)

    def forward(self, spans, scored_positions):
        """`spans`: (slot, start, tokens) each."""
        slots, starts, tokens = zip(*spans, strict=True)
        counts = torch.tensor([len(span) for span in tokens])
        flat = torch.tensor([token for span in tokens for token in span])
        return self._call(
            "forward", flat, torch.tensor(slots), torch.tensor(starts), counts, torch.tensor(scored_positions)
        )


def close(got, expected):
    assert got.shape == expected.shape
    assert (got - expected).abs().max() <= 1e-5 * max(1, expected.abs().max())


def test_the_plain_forward_depends_on_distant_tokens_or_on_the_window_alone(model):
    # the yardstick itself: what lies 16 places back shows in models without a window, and in none whose layers all have
    # one (three layers of 5 see 4 places further each: 12 in all)
    sequence = text(20)
    other = [(sequence[0] + 1) % IDS, *sequence[1:]]
    moved = (plain(model, sequence) - plain(model, other)).abs()
    assert moved[3].max() > 1e-2
    all_slide = model.config.model_type == "mistral"
    assert (moved[16].max() < 1e-5) == all_slide


def test_steps_after_a_prompt(model, ragged_of):
    sequences = [text(8), text(13), text(6)]
    prompts = [1, 7, 4]  # tokens that are read ahead
    ragged = ragged_of(model, 3)
    ragged.prefill([sequence[:n] for sequence, n in zip(sequences, prompts, strict=True)], [0, 1, 2])
    expected = [plain(model, sequence) for sequence in sequences]
    for i in range(2):
        places = [n + i for n in prompts]
        got = ragged.step([sequence[at] for sequence, at in zip(sequences, places, strict=True)], places)
        close(got, torch.stack([logits[at] for logits, at in zip(expected, places, strict=True)]))


def test_steps_from_an_empty_cache_and_past_the_window(model, ragged_of):
    sequences, ragged = [text(14), text(14, seed=1)], ragged_of(model, 2)
    expected = torch.stack([plain(model, sequence) for sequence in sequences])
    for place in range(14):
        close(ragged.step([sequence[place] for sequence in sequences], [place, place]), expected[:, place])


def test_a_step_over_fewer_rows_and_more_places_than_needed(model, ragged_of):
    sequences, ragged = [text(9), text(12), text(5)], ragged_of(model, 3)
    ragged.prefill([sequence[:-1] for sequence in sequences], [0, 1, 2])
    got = ragged.step([sequences[0][-1], sequences[1][-1]], [8, 11], width=20)
    close(got, torch.stack([plain(model, sequence)[-1] for sequence in sequences[:2]]))


def test_a_packed_chunk_of_whole_rows_in_any_order_of_slots(model, ragged_of):
    one, two, three = text(3), text(9), text(6)
    got = ragged_of(model, 4).forward([(3, 0, one), (0, 0, two), (1, 0, three)], scored_positions=[2, 3, 7, 11, 12, 17])
    expected = plain(model, one)[[2]], plain(model, two)[[0, 4, 8]], plain(model, three)[[0, 5]]
    close(got, torch.cat(expected))


def test_a_packed_chunk_of_all_slots_in_order(model, ragged_of):
    one, two = text(3), text(9)
    close(
        ragged_of(model, 2).forward([(0, 0, one), (1, 0, two)], scored_positions=[2, 11]),
        torch.stack([plain(model, one)[2], plain(model, two)[8]]),
    )


def test_a_chunk_goes_on_in_the_middle_of_rows(model, ragged_of):
    one, two, three = text(16), text(11), text(5)
    ragged = ragged_of(model, 3)
    ragged.prefill([one[:10], two[:3]], [0, 2])
    # four more of the first, all that is left of the second, and the third from its start
    got = ragged.forward([(0, 10, one[10:14]), (2, 3, two[3:]), (1, 0, three)], scored_positions=[0, 3, 4, 11, 16])
    close(got[:2], plain(model, one)[[10, 13]])
    close(got[2:4], plain(model, two)[[3, 10]])
    close(got[4], plain(model, three)[4])
    # steps follow upon it
    close(
        ragged.step([one[14], 0, two[-1]], [14, 5, 10])[[0, 2]],
        torch.stack([plain(model, one)[14], plain(model, two)[10]]),
    )


@pytest.mark.parametrize(
    ("span", "chunk", "forwards"),
    [
        # prompts of 11, 4 and 2 tokens
        (100, 100, 1),
        (100, 20, 2),  # 2 4, then 11: no span is too long, but padded to the longest they are
        (4, 100, 3),  # 2 4 4 together, then 4, then 3
        (4, 8, 4),  # 2 4, then 4, then 4, then 3
        (4, 7, 5),  # 2, then 4, then 4, then 4, then 3
        (3, 3, 7),  # 2, then 3, 1, then 3, 3, 3, 2
        (1, 3, 15),  # a token at a time, the next prompt's first one beside the last of the one before
    ],
)
def test_long_prompts_are_read_in_bounded_chunks(span, chunk, forwards, model, monkeypatch, ragged_of):
    monkeypatch.setattr(runner_file, "SPAN_TOKENS", span)
    monkeypatch.setattr(runner_file, "CHUNK_TOKENS", chunk)
    packed = []
    monkeypatch.setattr(runner_file, "Varlen", lambda *arguments: packed.append(Varlen(*arguments)) or packed[-1])
    sequences, ragged = [text(5), text(12), text(3)], ragged_of(model, 3)
    ragged.prefill([sequence[:-1] for sequence in sequences], [0, 1, 2])
    assert len(packed) == forwards
    assert max(metadata.longest for metadata in packed) <= span
    assert max(len(metadata.starts) * metadata.longest for metadata in packed) <= chunk
    got = ragged.step([sequence[-1] for sequence in sequences], [4, 11, 2])
    close(got, torch.stack([plain(model, sequence)[-1] for sequence in sequences]))


def test_a_chunk_in_several_forwards_speaks_where_it_is_asked_to(model, monkeypatch, ragged_of):
    monkeypatch.setattr(runner_file, "SPAN_TOKENS", 4)
    one, two = text(14), text(3)
    # forwards of 4, 4, 4 and 2 + 3 tokens; nothing is asked of the second
    got = ragged_of(model, 2).forward([(0, 0, one), (1, 0, two)], scored_positions=[1, 3, 8, 13, 16])
    close(got, torch.cat([plain(model, one)[[1, 3, 8, 13]], plain(model, two)[[2]]]))


def test_a_rejected_draft_leaves_nothing_behind(model, ragged_of):
    ragged, right, wrong = ragged_of(model, 2), [text(12), text(10)], [text(12, seed=1), text(10, seed=2)]
    ragged.prefill([sequence[:5] for sequence in right], [0, 1])
    for place in range(5, 9):  # four drafts of each row that will not stand
        ragged.step([sequence[place] for sequence in wrong], [place, place])
    # the first row goes on at once, the second keeps one of the four tokens
    right[1][5] = wrong[1][5]
    expected = [plain(model, sequence) for sequence in right]
    close(ragged.step([right[0][5], right[1][6]], [5, 6]), torch.stack([expected[0][5], expected[1][6]]))
    got = ragged.forward([(0, 6, right[0][6:8]), (1, 7, right[1][7:9])], scored_positions=[0, 1, 2, 3])
    close(got, torch.cat([expected[0][6:8], expected[1][7:9]]))


def test_a_slot_forgets_the_longer_rollout_that_lived_there(model, ragged_of):
    ragged, old, new = ragged_of(model, 2), text(20), text(4)
    ragged.prefill([old, old], [0, 1])
    ragged.prefill([new[:3]], [1])
    close(ragged.step([0, new[3]], [20, 3])[1], plain(model, new)[3])


def test_a_copied_prompt_is_a_read_prompt(model, ragged_of):
    prompt, ragged = text(9), ragged_of(model, 3)
    ragged.prefill([text(15), prompt, text(12)], [0, 1, 2])
    ragged.runner.cache.copy(1, [0, 2], len(prompt))
    got = ragged.step([3, 4, 5], [9, 9, 9])
    close(got, torch.stack([plain(model, [*prompt, token])[-1] for token in (3, 4, 5)]))


class OwnAttention(torch.nn.Module):
    """Two layers that attend without transformers' attention interface, or do something else."""

    config = SimpleNamespace(num_hidden_layers=2, _attn_implementation="eager")

    def forward(self, input_ids, **_):
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, IDS))


def test_a_model_with_an_attention_of_its_own_is_a_usage_error():
    with pytest.raises(UsageError, match="OwnAttention: 0 of 2 layers attend by way of"):
        Ragged(OwnAttention(), 1, LENGTH).step([3], [0])


class NewNames(torch.nn.Module):
    """A model as of transformers 5.24 on."""

    def forward(self, input_ids, cache=None, **others):
        self.given = {"cache": cache}
        assert "past_key_values" not in others
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, IDS))


class OldNames(torch.nn.Module):
    """A model as of transformers 5.23 and before."""

    def forward(self, input_ids, past_key_values=None, **others):
        self.given = {"past_key_values": past_key_values}
        assert "cache" not in others
        return SimpleNamespace(logits=torch.zeros(*input_ids.shape, IDS))


class NoNames(torch.nn.Module):
    """A wrapper, which passes all it is given on to a model that takes both names or the old one alone."""

    def forward(self, **given):
        self.given = {name: given.get(name) for name in ("cache", "past_key_values") if name in given}
        return SimpleNamespace(logits=torch.zeros(*given["input_ids"].shape, IDS))


@pytest.mark.parametrize(
    ("kind", "name"), [(NewNames, "cache"), (OldNames, "past_key_values"), (NoNames, "past_key_values")]
)
def test_a_model_is_given_the_cache_by_the_name_that_its_forward_has_for_it(kind, name):
    runner = ModelRunner(kind(), PageTable(1, LENGTH, LENGTH, 0, torch.device("cpu")))
    runner.step(torch.tensor([3]), torch.tensor([0]), 1)
    assert runner.model.given == {name: runner.cache}


def test_the_layers_of_a_step_share_what_chunks_are_cut_from(plain_kernel, monkeypatch):
    cut, chunks = [], attention_metadata.Chunks
    monkeypatch.setattr(attention_metadata, "Chunks", lambda *arguments: cut.append(arguments) or chunks(*arguments))
    three_layers = AutoModelForCausalLM.from_config(MODELS["llama, a key head per query head"])
    ragged = Ragged(three_layers, 2, 2)
    ragged.prefill([text(9), text(3)], [0, 1])
    for place in (9, 10):
        ragged.step([1, 2], [place, 3])
    assert len(cut) == 2
