"""Two ranks load a policy into shards: what one process loads, and only one of them reads it."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig
from two_processes import output_of

from mentor_pl.models.loading import load_policy
from mentor_pl.models.source import ModelSource

RANKS = """
import sys
from importlib.util import find_spec

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

from mentor_pl.models.loading import load_policy
from mentor_pl.models.lora import LoRA
from mentor_pl.models.sharded_loading import load_policy_in_shards
from mentor_pl.models.source import ModelSource
from mentor_pl.runtime.errors import UsageError

dist.init_process_group("gloo")
mesh, cpu = init_device_mesh("cpu", (2,)), torch.device("cpu")
*folders, broken = sys.argv[1:]
cases = [(folder, None) for folder in folders]
cases += [(folder, LoRA(rank=4)) for folder in folders if find_spec("peft")]
whole = []
for folder, adapter in cases:
    torch.manual_seed(5)
    whole.append(load_policy(ModelSource(folder, "policy"), adapter=adapter))
if dist.get_rank():
    del ModelSource.weights  # nobody else reads any
for (folder, adapter), plain in zip(cases, whole, strict=True):
    torch.manual_seed(5)
    ours = load_policy_in_shards(ModelSource(folder, "policy"), mesh, cpu, adapter=adapter)
    assert ours.state_dict().keys() == plain.state_dict().keys()
    assert dict(ours.named_parameters()).keys() == dict(plain.named_parameters()).keys()  # tied ones are
    for name, value in plain.state_dict().items():
        found = ours.state_dict()[name]
        assert found.dtype == value.dtype and found.to_local().shape[0] < len(value), name
        assert torch.equal(found.full_tensor(), value), name
    for (name, value), (_, found) in zip(plain.named_buffers(), ours.named_buffers(), strict=True):
        assert found.dtype == value.dtype and torch.equal(found, value), name
    assert ours.config.to_dict() == plain.config.to_dict()
    assert ours.generation_config.to_dict() == plain.generation_config.to_dict()
    assert ours.training
    assert [p.requires_grad for p in ours.parameters()] == [p.requires_grad for p in plain.parameters()]
    assert getattr(ours, "adapter_settings", None) == getattr(plain, "adapter_settings", None)
try:
    load_policy_in_shards(ModelSource(broken, "policy"), mesh, cpu)
except UsageError as refused:
    assert "sets attention_dropout to 0.1" in str(refused)
    print("well")
dist.destroy_process_group()
"""


@pytest.fixture
def scaled(tmp_path):
    """A Llama stored in bfloat16, with tied embeddings, RoPE frequencies for float32, and settings of generation."""
    torch.manual_seed(0)
    rope = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    config = LlamaConfig(
        vocab_size=37,
        hidden_size=32,
        intermediate_size=50,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        rope_parameters={**rope, "original_max_position_embeddings": 32},
    )
    model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.generation_config.eos_token_id = [2, 7]
    model.save_pretrained(tmp_path / "scaled")
    return tmp_path / "scaled"


def test_two_ranks_hold_the_shards_of_what_one_process_loads(tmp_path, qwen2_folder, llama_folder, scaled):
    """Bit for bit: weights of files in float32 and bfloat16, tied, drawn, buffers, adapters; and what is refused."""
    broken = tmp_path / "broken"
    model = AutoModelForCausalLM.from_pretrained(llama_folder)
    model.config.attention_dropout = 0.1
    model.save_pretrained(broken)
    drawn = qwen2_folder / "config.json"
    printed = output_of(tmp_path, RANKS, qwen2_folder, llama_folder, scaled, drawn, broken)
    assert printed.count("well") == 2


def test_a_model_is_read_in_bfloat16_only_where_all_of_it_is_stored_so(tmp_path, llama_folder, scaled):
    def stored(path):
        return ModelSource(str(path), "policy").stored_dtype()

    assert (stored(scaled), stored(llama_folder)) == (torch.bfloat16, torch.float32)
    mixed = AutoModelForCausalLM.from_pretrained(scaled, dtype=torch.bfloat16)
    mixed.model.norm.float()
    mixed.save_pretrained(tmp_path / "mixed")
    assert stored(tmp_path / "mixed") == stored(scaled / "config.json") == stored("nobody/nothing") == torch.float32


def test_a_skeleton_has_shapes_alone_but_for_its_buffers(scaled):
    source = ModelSource(str(scaled), "policy")
    plain, skeleton = load_policy(source), source.skeleton()
    shapes = [(name, value.shape, value.dtype) for name, value in plain.named_parameters()]
    assert [(name, value.shape, value.dtype) for name, value in skeleton.named_parameters()] == shapes
    assert all(value.is_meta for value in skeleton.parameters())
    assert all(torch.equal(*pair) for pair in zip(plain.buffers(), skeleton.buffers(), strict=True))
    assert not next(load_policy(source).parameters()).is_meta
