"""Steps through `torch.compile`: the same tokens, one graph for all rows and widths, and errors in one line."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
import torch.nn.attention.varlen
from engine_cases import LOOSE, MODES, SAMPLING
from torch import nn
from torch._inductor import config as inductor
from varlen_standin import varlen_attn

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine import engine, kv_cache
from mentor_pl.decoding.engine.compiling import compiled
from mentor_pl.decoding.engine.timings import Execution, measure_timings
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.errors import UsageError

CPU = torch.device("cpu")
FIELDS = ("ids", "lengths", "logprobs", "entropies", "gate_weights", "guided", "replaced")
TEXTS = ("find the value of x", "we try", "wait , let us verify the product", "the answer is")


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that were made, in order; they are run as they are, without a compiler."""
    made, plain = [], torch.compile

    def backend(graph, inputs):
        made.append(graph)
        return graph.forward

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", lambda forward, options, **how: plain(forward, backend=backend, **how))
    return made


def count(graphs):
    """How many are of the model's forward, and how many of the draw."""
    forwards = sum("embedding" in graph.code for graph in graphs)
    return forwards, len(graphs) - forwards


@pytest.fixture
def check(family, with_stops, keys, gate_of, sample):
    """(family, mode, rows, options of a sampler) -> sees that compiled rollouts are the plain ones."""

    def run(name, mode, rows, **options):
        kind, settings, mixed = MODES[mode]
        models = with_stops(family(name), range(0, 320, 11))
        prompts = [models.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(2)]
        given = models, prompts, keys(len(prompts)), SAMPLING, gate_of(LOOSE) if mixed else None
        plain = sample(kind(**settings), *given)
        compiled = sample(kind(**settings, rows=rows, torch_compile=True, **options), *given)
        for field in FIELDS:
            a, b = getattr(compiled, field), getattr(plain, field)
            assert torch.allclose(a, b, atol=1e-4) if a.is_floating_point() else torch.equal(a, b), field

    return run


@pytest.mark.parametrize(("name", "mode"), [("qwen2", "coin"), ("llama", "on-policy"), ("sliding", "naive")])
def test_one_graph_serves_any_rows_and_widths_with_the_same_tokens(name, mode, check, graphs):
    for rows in (8, 3):  # all slots in use, then some; down to one row at the end
        check(name, mode, rows)
    assert count(graphs) == (1, 1)


def test_pages_have_a_graph_for_one_and_one_for_several(check, graphs):
    check("qwen2", "coin", 3, page_tokens=16)
    assert count(graphs) == (2, 1)


def test_one_slot_has_a_graph_of_its_own(check, graphs):
    check("qwen2", "on-policy", 1)
    assert count(graphs) == (1, 1)


def test_pages_are_read_in_place_by_what_is_compiled(check, graphs, monkeypatch, plain_kernel):
    def kernel(query, keys, values, firsts, lasts, longest, most, *, scale, seqused_k, block_table, **options):
        if options["window_size"] == (-1, 0):  # a prompt, or what the expert reads
            given = firsts, lasts, longest, most
            options |= {"scale": scale, "seqused_k": seqused_k, "block_table": block_table}
            return varlen_attn(query, keys, values, *given, **options)
        return torch.ops.mentor_tests.varlen(query, keys, values, firsts, lasts, longest, seqused_k, block_table, scale)

    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", kernel)
    check("qwen2", "coin", 3, page_tokens=4)
    forwards, _ = count(graphs)
    assert 1 <= forwards <= 2  # of one chunk, and of more
    assert sum("mentor_tests.varlen" in graph.code for graph in graphs) == forwards


def test_the_first_forward_of_a_cache_is_not_compiled_and_steps_are_timed_as_they_run(family, graphs):
    models = family("qwen2")
    with torch.no_grad(), kv_cache.cached_attention(models.policy, models.expert):
        measure_timings(models.policy, models.expert, 4, models.device, Execution(torch_compile=True))
    assert len(graphs) == 1


def test_weights_that_have_changed_and_those_of_another_model_are_the_ones_read(family, keys, sample, graphs):
    models = family("qwen2")
    torch.manual_seed(0)
    for policy in (models.policy, changed := deepcopy(models.policy), changed):
        given = replace(models, policy=policy), [[3, 4, 5]] * 2, keys(2), SAMPLING
        plain, fast = sample(Coin(), *given), sample(Coin(torch_compile=True), *given)
        assert torch.equal(plain.ids, fast.ids)
        assert (plain.logprobs - fast.logprobs).abs().max() < 1e-5
        with torch.no_grad():
            for weight in changed.parameters():
                weight += 0.1 * torch.randn_like(weight)
    assert count(graphs) == (1, 1)


def test_a_run_that_begins_with_a_pause_says_why_once(family, keys, sample, graphs, caplog):
    models, sampler = family("qwen2"), Coin(torch_compile=True)
    with caplog.at_level("INFO"):
        for _ in range(2):
            sample(sampler, models, [[3, 4, 5]], keys(1), SamplingParams(max_new_tokens=3))
    assert sum("compiling the steps" in line for line in caplog.messages) == 1


def test_a_forward_that_is_mostly_packed_is_left_to_its_packed_weights(check, graphs, monkeypatch):
    monkeypatch.setattr(engine, "is_mostly_packed", lambda model: True)
    check("qwen2", "coin", 3)
    assert count(graphs) == (0, 1)


def test_filters_and_greedy_decoding_draw_by_what_is_not_compiled(family, keys, sample, graphs):
    models = family("qwen2")
    for sampling in (SamplingParams(top_p=0.5, max_new_tokens=3), SamplingParams(temperature=0.0, max_new_tokens=3)):
        given = models, [[3, 4, 5]] * 2, keys(2), sampling
        plain, fast = sample(Coin(), *given), sample(Coin(torch_compile=True), *given)
        assert torch.equal(plain.ids, fast.ids)
    assert count(graphs) == (1, 0)


class Waiting(nn.Linear):
    """Its forward waits for the host."""

    def forward(self, input):
        return super().forward(input) if input.sum() > 0 else input


def test_what_is_no_graph_is_refused_in_one_line(graphs):
    with pytest.raises(
        UsageError, match=r"torch_compile is true, but Waiting cannot be compiled here, .*: set it to"
    ) as error:
        compiled(Waiting(2, 2), "Waiting", CPU)(input=torch.ones(2, 2))
    assert "\n" not in str(error.value)


def test_more_graphs_than_are_kept_are_refused_in_one_line(graphs):
    function = compiled(nn.Linear(2, 2), "Linear", CPU)
    told = "Linear cannot be compiled here, PyTorch keeps no more graphs of it than .*recompile_limit: set it to false"
    with torch._dynamo.config.patch(recompile_limit=1), pytest.raises(UsageError, match=told):
        for rows in (2, 1):  # a size of 1 has a graph of its own
            function(input=torch.ones(rows, 2))
    assert len(graphs) == 1


def test_a_machine_without_a_compiler_is_told_so_in_one_line(monkeypatch, tmp_path):
    torch._dynamo.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    told = r"Linear cannot be compiled here, .*No working C\+\+ compiler"
    with inductor.patch({"cpp.cxx": (None, "no-such-compiler")}), pytest.raises(UsageError, match=told) as error:
        compiled(nn.Linear(2, 2), "Linear", CPU)(input=torch.ones(2, 2))
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_what_a_compiler_makes_of_it_says_the_same(check):
    """Takes a C++ compiler and half a minute."""
    torch._dynamo.reset()
    check("qwen2", "coin", 3)
