"""Frozen models that are whole on their device only while they are used."""

import pytest
import torch
from two_processes import output_of

from mentor_pl.models.loading import load_frozen
from mentor_pl.models.placement import Offloaded, placed
from mentor_pl.models.source import ModelSource

CPU = torch.device("cpu")


def held(model):
    """Bytes that the parameters lie in."""
    storages = {p.untyped_storage().data_ptr(): p.untyped_storage().nbytes() for p in model.parameters()}
    return sum(storages.values())


@pytest.fixture
def expert(llama_expert_folder):
    return load_frozen(ModelSource(str(llama_expert_folder), "expert"), torch.bfloat16)


def test_an_offloaded_model_takes_no_room_between_uses_and_is_itself_in_each(expert):
    before = {name: value.clone() for name, value in expert.state_dict().items()}
    count, whole = sum(p.numel() for p in expert.parameters()), held(expert)
    ids = torch.arange(5)[None]
    logits = expert(input_ids=ids).logits
    rest = Offloaded(expert, CPU)
    for _ in range(2):
        assert held(expert) < 0.01 * whole
        assert sum(p.numel() for p in expert.parameters()) == count
        with rest.in_use():
            assert held(expert) >= whole
            assert all(torch.equal(value, before[name]) for name, value in expert.state_dict().items())
            assert torch.equal(expert(input_ids=ids).logits, logits)
    with pytest.raises(ZeroDivisionError), rest.in_use():
        raise ZeroDivisionError
    assert held(expert) < 0.01 * whole


def test_a_replicated_model_stays_as_it_is(expert):
    before = [p.data_ptr() for p in expert.parameters()]
    assert placed(expert, CPU, "replicated") is None
    assert [p.data_ptr() for p in expert.parameters()] == before


RANKS = """
import sys

import torch
import torch.distributed as dist

from mentor_pl.models.loading import load_frozen
from mentor_pl.models.placement import Sharded
from mentor_pl.models.source import ModelSource

dist.init_process_group("gloo")
for folder in sys.argv[1:]:
    model = load_frozen(ModelSource(folder, "expert"), torch.bfloat16)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    rest = Sharded(model, torch.device("cpu"))
    kept, whole = (sum(v.numel() for v in values) for values in (rest._rest.values(), rest._rest))
    assert whole / 3 <= kept <= whole / 3 + 3 * len(rest._rest), (kept, whole)
    for _ in range(2):
        assert all(p.untyped_storage().nbytes() == p.element_size() for p in model.parameters())
        with rest.in_use():
            assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
print("well")
dist.destroy_process_group()
"""


def test_three_ranks_hold_a_third_each_and_all_of_it_while_it_is_used(tmp_path, llama_expert_folder, qwen2_folder):
    assert output_of(tmp_path, RANKS, llama_expert_folder, qwen2_folder, ranks=3).count("well") == 3
