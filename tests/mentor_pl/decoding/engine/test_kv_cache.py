"""Where tokens are written, what their queries see, and that folded query heads attend as repeated keys do."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AutoModelForCausalLM, Gemma2Config

from mentor_pl.decoding.engine.attention_metadata import Decode, Varlen
from mentor_pl.decoding.engine.kv_cache import CACHED_ATTENTION, KVCache, attend_cached, cached_attention
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.models.attention import spans
from mentor_pl.runtime.errors import UsageError

CPU = torch.device("cpu")


def whole(slots, length):
    """Pages as long as a row."""
    return PageTable(slots, length, length, 0, CPU)


def step(positions, width, length=6):
    return Decode(torch.tensor(positions), width, whole(len(positions), length))


def packed(slots, starts, counts, total=9, length=6):
    return Varlen(torch.tensor(slots), torch.tensor(starts), torch.tensor(counts), whole(total, length))


def numbered(tokens):
    """One key head of size 1 per token, whose value is the token's number: [1, 1, T, 1]."""
    return torch.tensor(tokens, dtype=torch.float32).view(1, 1, -1, 1)


def places(buffer):
    """[R, 1, L, 1] -> R lists of L numbers."""
    return buffer[:, 0, :, 0].int().tolist()


def test_spans_stand_one_behind_the_other():
    assert spans(torch.tensor([3, 0, 7]), torch.tensor([2, 3, 1])).tolist() == [3, 4, 0, 1, 2, 7]


def test_a_step_writes_one_place_of_each_of_the_first_slots():
    buffer = torch.zeros(3, 1, 4, 1)
    step([2, 0], 3).write(buffer, numbered([5, 6]).transpose(0, 2))
    assert places(buffer) == [[0, 0, 5, 0], [6, 0, 0, 0], [0, 0, 0, 0]]


def test_a_chunk_writes_the_span_of_each_of_its_slots():
    buffer = torch.zeros(3, 1, 4, 1)
    packed([2, 0], [1, 0], [3, 2]).write(buffer, numbered([1, 2, 3, 4, 5]))
    assert places(buffer) == [[4, 5, 0, 0], [0, 0, 0, 0], [0, 1, 2, 3]]


def test_a_step_reads_the_first_slots_up_to_its_width_without_a_copy():
    buffer = torch.arange(12.0).view(3, 1, 4, 1)
    got = step([2, 0], 3).read(buffer)
    assert places(got) == [[0, 1, 2], [4, 5, 6]]
    assert got.data_ptr() == buffer.data_ptr()


def test_a_chunk_reads_its_own_slots_up_to_the_end_of_its_longest():
    buffer = torch.arange(12.0).view(3, 1, 4, 1)
    assert places(packed([2, 0], [1, 0], [2, 1]).read(buffer)) == [[8, 9, 10], [0, 1, 2]]


def test_a_chunk_of_all_slots_in_order_reads_them_without_a_copy():
    buffer = torch.arange(12.0).view(3, 1, 4, 1)
    got = packed([0, 1, 2], [0, 1, 0], [1, 1, 1], total=3).read(buffer)
    assert places(got) == [[0, 1], [4, 5], [8, 9]]
    assert got.data_ptr() == buffer.data_ptr()
    got = packed([0, 2, 1], [0, 1, 0], [1, 1, 1], total=3).read(buffer)  # out of order: a row per entry
    assert places(got) == [[0, 1], [8, 9], [4, 5]]


def seen(mask):
    """[B, C, K] bool -> the places that each query sees."""
    return [[query.nonzero().squeeze(1).tolist() for query in row] for row in mask]


def test_a_token_sees_itself_and_what_came_before_it_in_its_slot():
    assert seen(step([2, 0], 4).visible(None)) == [[[0, 1, 2]], [[0]]]
    # the second row's second query is padding; nobody reads what it sees
    chunk = seen(packed([5, 1], [1, 0], [2, 1]).visible(None))
    assert chunk[0] == [[0, 1], [0, 1, 2]]
    assert chunk[1][0] == [0]


def test_a_window_ends_with_the_token_itself():
    assert seen(step([3, 1], 4).visible(2)) == [[[2, 3]], [[0, 1]]]
    assert seen(packed([5], [2], [2]).visible(3)) == [[[0, 1, 2], [1, 2, 3]]]


def test_layers_with_and_without_a_window_get_masks_of_their_own_and_share_them_among_equals():
    metadata = step([3], 4)
    wide, narrow = metadata.mask(None, 1, torch.float32), metadata.mask(2, 1, torch.float32)
    assert wide[0, 0, 0].tolist() == [0, 0, 0, 0]
    assert narrow[0, 0, 0].tolist() == [-torch.inf, -torch.inf, 0, 0]
    assert metadata.mask(2, 1, torch.float32) is narrow


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # one query a row is two products in the first alone
@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kind", ["step", "chunk"])
def test_folded_query_heads_attend_as_repeated_keys_do(kind, groups, scale, dtype):
    generator = torch.Generator().manual_seed(groups)
    key_heads, size, length, window = 3, 8, 6, 4
    keys, values = (torch.randn(4, key_heads, length, size, dtype=dtype, generator=generator) for _ in range(2))
    if kind == "step":
        metadata = step([3, 5, 0], length)
        owners, positions = [0, 1, 2], [3, 5, 0]
        shape = (3, key_heads * groups, 1, size)
    else:
        metadata = packed([3, 1], [2, 0], [3, 2])
        owners, positions = [3, 3, 3, 1, 1], [2, 3, 4, 0, 1]
        shape = (1, key_heads * groups, 5, size)
    query = torch.randn(shape, dtype=dtype, generator=generator)
    options = {"metadata": metadata, "sliding_window": window, "scaling": scale}
    got, _ = attend_cached(None, query, keys, values, None, **options)
    by_token = query[:, :, 0] if kind == "step" else query[0].transpose(0, 1)  # [T, H, D]
    for token, (owner, position) in enumerate(zip(owners, positions, strict=True)):
        visible = slice(max(0, position - window + 1), position + 1)
        repeated = (buffer[owner, :, visible].repeat_interleave(groups, 0) for buffer in (keys, values))
        expected = scaled_dot_product_attention(by_token[token][:, None], *repeated, scale=scale)[:, 0]  # [H, D]
        assert torch.allclose(got.flatten(0, 1)[token], expected, atol=1e-6)


def update(cache, metadata, new):
    cache.metadata = metadata
    return [metadata.read(buffer) for buffer in cache.update(new, -new, 0)]


def test_a_cache_starts_with_zeros_and_keeps_what_is_written_until_it_is_written_again():
    cache = KVCache(whole(2, 3))
    update(cache, packed([0, 1], [0, 1], [2, 2], total=2), numbered([1, 2, 3, 4]))
    assert places(cache.keys[0]) == [[1, 2, 0], [0, 3, 4]]
    keys, values = update(cache, step([1, 0], 2), numbered([8, 9]).transpose(0, 2))
    assert places(keys) == [[1, 8], [9, 3]]
    assert places(values) == [[-1, -8], [-9, -3]]
    assert places(cache.keys[0]) == [[1, 8, 0], [9, 3, 4]]


def test_layers_have_buffers_of_their_own():
    cache = KVCache(whole(1, 2))
    cache.metadata = step([0], 1)
    for layer in (0, 1):
        cache.update(numbered([layer + 1]), numbered([layer + 5]), layer)
    assert [places(keys) for keys in cache.keys] == [[[1, 0]], [[2, 0]]]
    assert [places(values) for values in cache.values] == [[[5, 0]], [[6, 0]]]


def paged():
    """Three slots of up to 5 places in pages of 2, which lie in disorder: [5, 2, 1], [3, 6] and [4]."""
    pages = PageTable(3, 5, 2, 6, CPU)
    pages.free = [4, 6, 3, 1, 2, 5]
    assert all(pages.reserve(slot, places) for slot, places in enumerate((5, 4, 2)))
    pages.upload()
    return pages


def test_rows_in_pages_are_written_page_by_page_and_read_one_behind_the_other():
    cache, pages = KVCache(paged()), paged()
    chunk = Varlen(torch.tensor([0, 1]), torch.tensor([0, 1]), torch.tensor([5, 2]), pages)
    keys, _ = update(cache, chunk, numbered(range(1, 8)))
    assert places(cache.keys[0]) == [[0, 0], [5, 0], [3, 4], [0, 6], [0, 0], [1, 2], [7, 0]]
    assert places(keys) == [[1, 2, 3, 4, 5, 0], [0, 6, 7, 0, 0, 0]]  # up to the end of the longest one's last page
    # three rows go on at 1, 3 and 0, and read two pages each
    keys, _ = update(cache, Decode(torch.tensor([1, 3, 0]), 4, pages), numbered([20, 30, 40]).transpose(0, 2))
    assert places(keys) == [[1, 20, 3, 4], [0, 6, 7, 30], [40, 0, 0, 0]]


def test_what_a_slot_without_a_rollout_writes_reaches_no_page_of_another():
    pages = paged()
    pages.release(2)
    pages.upload()
    cache = KVCache(pages)
    update(cache, Decode(torch.tensor([0, 0, 4]), 5, pages), numbered([1, 2, 9]).transpose(0, 2))
    assert places(cache.keys[0]) == [[9, 0], [0, 0], [0, 0], [2, 0], [0, 0], [1, 0], [0, 0]]


def test_a_copy_of_a_row_in_pages_leaves_alone_what_both_share():
    pages = PageTable(2, 5, 2, 6, CPU)
    pages.reserve(0, 5)
    pages.share(0, 1, 5)
    pages.reserve(1, 5)
    cache = KVCache(pages)
    update(cache, Varlen(torch.tensor([0]), torch.tensor([0]), torch.tensor([5]), pages), numbered(range(1, 6)))
    cache.copy(0, [1], 5)
    assert pages.on_host.tolist() == [[1, 2, 3], [1, 2, 4]]
    assert places(cache.keys[0]) == [[0, 0], [1, 2], [3, 4], [5, 0], [5, 0], [0, 0], [0, 0]]


def test_a_copy_moves_the_first_places_of_a_slot_in_keys_and_values():
    cache = KVCache(whole(3, 3))
    update(cache, packed([0, 1, 2], [0, 0, 0], [3, 3, 3], total=3), numbered(range(1, 10)))
    cache.copy(1, [0, 2], 2)
    assert places(cache.keys[0]) == [[4, 5, 3], [4, 5, 6], [4, 5, 9]]
    assert places(cache.values[0]) == [[-4, -5, -3], [-4, -5, -6], [-4, -5, -9]]


def tiny_gemma2():
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 4, "vocab_size": 8}
    return AutoModelForCausalLM.from_config(Gemma2Config(num_attention_heads=4, num_key_value_heads=2, **sizes))


def test_attention_that_is_more_than_a_softmax_is_a_usage_error_that_names_the_layer():
    model, cache = tiny_gemma2(), KVCache(whole(1, 4))
    cache.metadata = step([0], 1)
    tokens = torch.tensor([[3]])
    options = {"use_cache": False, "position_ids": tokens * 0, "metadata": cache.metadata}
    with cached_attention(model), pytest.raises(UsageError, match="Gemma2Attention caps its attention scores"):
        model(input_ids=tokens, **options)


@pytest.mark.parametrize("options", [{"s_aux": torch.zeros(1)}, {"metadata": None}], ids=["sinks", "hidden"])
def test_sinks_and_arguments_that_never_arrive_are_usage_errors(options):
    ones = torch.ones(1, 1, 1, 1)
    with pytest.raises(UsageError, match="adds sinks or hides its arguments"):
        attend_cached(None, ones, ones, ones, None, **{"metadata": step([0], 1), **options})


def test_models_get_their_own_attention_back_even_after_an_error():
    model, other = tiny_gemma2(), object()  # what has no configuration is left alone
    model.config._attn_implementation = "eager"
    with pytest.raises(KeyError), cached_attention(model, other):
        assert model.config._attn_implementation == CACHED_ATTENTION
        raise KeyError
    assert model.config._attn_implementation == "eager"
