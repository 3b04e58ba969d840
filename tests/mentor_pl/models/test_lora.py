"""Adapters: what they add, where they run, what is trained, what is exported."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.engine import Engine
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.loading import Models, load_policy, save_folder
from mentor_pl.models.lora import LoRA, merged, save_adapter, settings_of, trained
from mentor_pl.models.prefix_sharing import prefix_sharing
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import shared_vocabulary
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.noise import rollout_keys

peft = pytest.importorskip("peft", reason="peft is not installed: pip install mentor-pl[lora]")

PROMPTS = [[3, 9, 14], [3, 9, 14], [5, 20], [7, 7, 31, 12]]


def loaded(folder, adapter=None):
    return load_policy(ModelSource(str(folder), "policy"), adapter=adapter)


def moved(policy, scale=0.05):
    """The policy with adapters that do something, as after some training."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in trained(policy).items():
            if ".lora_B." in name:
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return policy


def models_of(policy, folder):
    return Models(policy, None, *shared_vocabulary(ModelSource(str(folder), "policy"), None))


def sampled(models):
    """Responses to `PROMPTS` by the engine, as training samples them; no draft looks ahead, for there is no expert."""
    models.policy.eval()
    keys = rollout_keys(5, 0, torch.arange(4), torch.zeros(4, dtype=torch.int64))
    with torch.no_grad():
        return Coin(rows=4)(models, PROMPTS, keys, SamplingParams(max_new_tokens=12))


def scored(models, samples):
    """log π of the sampled tokens by the forward that training differentiates, [4, T]."""
    lengths = torch.tensor([len(prompt) for prompt in PROMPTS])
    prompts = torch.nn.utils.rnn.pad_sequence([torch.tensor(prompt) for prompt in PROMPTS], batch_first=True)
    size = models.vocabulary.size
    return models.policy.token_logprobs(prompts, lengths, samples.ids, samples.lengths, vocab_size=size).logprobs


def logits(model):
    return model.eval()(torch.arange(3, 33)[None]).logits


def test_an_adapter_adds_alpha_over_rank_times_b_a_to_its_weight():
    model = torch.nn.Module()
    model.peft_config = {"default": peft.LoraConfig(r=2, lora_alpha=3.0)}
    weights = {
        "a.base_layer.weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]),
        "a.base_layer.bias": torch.tensor([7.0, 8.0]),
        "a.lora_A.default.weight": torch.tensor([[1.0, 0.0], [2.0, 1.0]]),
        "a.lora_B.default.weight": torch.tensor([[2.0, 0.0], [0.0, 4.0]]),
        "norm.weight": torch.ones(1),
    }
    # B A = [[2, 0], [8, 4]], and α / r = 3/2
    found = merged(model, weights)
    assert set(found) == {"a.weight", "a.bias", "norm.weight"}
    assert found["a.weight"].tolist() == [[4.0, 2.0], [15.0, 10.0]]
    assert found["a.bias"].tolist() == [7.0, 8.0]


@pytest.mark.parametrize("family", ["qwen2", "qwen3", "llama"])
def test_a_new_adapter_leaves_the_policy_as_it_is_and_every_linear_map_of_its_layers_has_one(family, request):
    folder = request.getfixturevalue(f"{family}_folder")
    plain, policy = loaded(folder), loaded(folder, LoRA(rank=4))
    assert torch.equal(logits(policy), logits(plain))
    assert settings_of(plain) is None
    linear = [name for name, module in plain.model.named_modules() if isinstance(module, torch.nn.Linear)]
    assert len(linear) == 14
    assert set(trained(policy)) == {f"model.{name}.lora_{one}.default.weight" for name in linear for one in "AB"}
    assert all(p.dtype == torch.float32 for p in policy.parameters())
    assert len(trained(plain)) == len(list(plain.parameters()))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_adapters_alone_have_gradients(checkpointing, llama_folder):
    policy = load_policy(ModelSource(str(llama_folder), "policy"), checkpointing, LoRA(rank=4))
    models = models_of(moved(policy), llama_folder)
    samples = sampled(models)
    policy.train()
    with prefix_sharing(policy):  # for layers that run again on the way back
        scored(models, samples).sum().backward()
    touched = {name for name, parameter in policy.named_parameters() if parameter.grad is not None}
    assert touched == {name for name, _ in policy.named_parameters() if ".lora_" in name}
    assert all(bool(parameter.grad.any()) for parameter in trained(policy).values())


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_sampling_and_training_both_run_the_adapters(family, request):
    """Their log-probabilities are equal to 1e-5, and change together when the adapters do."""
    folder = request.getfixturevalue(f"{family}_folder")
    models = models_of(moved(loaded(folder, LoRA(rank=4))), folder)
    before = sampled(models)
    seen = [scored(models, before)]
    assert torch.allclose(before.logprobs, seen[0], atol=1e-5, rtol=0)
    moved(models.policy, scale=0.2)
    after = sampled(models)
    assert torch.allclose(after.logprobs, scored(models, after), atol=1e-5, rtol=0)
    seen.append(scored(models, before))
    assert (seen[1] - seen[0]).abs().max() > 0.1
    assert not torch.equal(after.ids, before.ids)
    plain = models_of(loaded(folder), folder)
    assert not torch.allclose(scored(plain, before), seen[0], atol=0.1, rtol=0)


def test_the_one_token_step_of_adapters_never_waits_for_the_host(llama_folder):
    """So that it can be a CUDA graph; on tensors without memory a number that the host asks for is an error."""
    models = models_of(loaded(llama_folder, LoRA(rank=4)).eval().to("meta"), llama_folder)
    keys, options = torch.arange(4, device="meta"), {"rows": 4, "cache_tokens": 999, "page_tokens": 0}
    engine = Engine(models, PROMPTS, keys, SamplingParams(max_new_tokens=12), None, **options)
    with torch.no_grad(), cached_attention(models.policy):
        engine.drafts.step(4, 9)
        models.policy.lm_head.register_forward_hook(lambda module, inputs, logits: logits.sum().item())
        with pytest.raises((RuntimeError, NotImplementedError)):  # the yardstick
            engine.drafts.step(4, 9)


@pytest.mark.parametrize("tied", [False, True])
def test_the_merged_folder_says_what_the_adapted_policy_says(tied, llama_folder, tmp_path):
    model, folder = AutoModelForCausalLM.from_pretrained(llama_folder), tmp_path / "policy"
    model.config.tie_word_embeddings = tied
    model.tie_weights()
    tokenizer = shared_vocabulary(ModelSource(str(llama_folder), "policy"), None)[0]
    save_folder(model, tokenizer, folder)
    policy = moved(loaded(folder, LoRA(rank=4)))
    save_folder(policy, tokenizer, tmp_path / "merged", merged(policy, policy.state_dict()))
    found, said = AutoModelForCausalLM.from_pretrained(tmp_path / "merged", output_loading_info=True)
    assert not said["missing_keys"] and not said["unexpected_keys"]
    assert found.config.tie_word_embeddings is tied
    assert torch.allclose(logits(found), logits(policy), atol=1e-5, rtol=0)
    assert not torch.allclose(logits(found), logits(loaded(folder)), atol=0.1, rtol=0)


def test_the_adapter_alone_is_read_by_peft_and_names_the_policy_that_it_belongs_to(llama_folder, tmp_path):
    policy = moved(loaded(llama_folder, LoRA(rank=4, target_modules=["q_proj", "v_proj"])))
    save_adapter(policy, tmp_path / "adapter", policy.state_dict())
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(llama_folder)
    base = AutoModelForCausalLM.from_pretrained(llama_folder)
    found = peft.PeftModel.from_pretrained(base, str(tmp_path / "adapter"))
    assert torch.equal(logits(found), logits(policy))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (["nothing"], r"target_modules \['nothing'\] of LlamaForCausalLM: .* name linear maps"),
        (["q_proj", "w_proj"], r"target_modules has 'w_proj', which LlamaForCausalLM lacks: name linear maps"),
        (["q_proj", "lm_head"], r"has an embedding: name linear maps"),
        (["embed_tokens"], r"has an embedding: name linear maps"),
        (["input_layernorm"], r"\['input_layernorm'\] of LlamaForCausalLM: .* name linear maps"),
    ],
)
def test_modules_that_cannot_have_an_adapter_are_refused_in_one_line(targets, message, llama_folder):
    with pytest.raises(UsageError, match=message) as refused:
        loaded(llama_folder, LoRA(target_modules=targets))
    assert "\n" not in str(refused.value)
