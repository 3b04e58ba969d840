"""Folders become models, and a pair that cannot work is refused in one line before weights are loaded."""

import json
import pickle
import re

import pytest
import torch
from folder_copies import copied, refusal, source
from transformers import AutoTokenizer

from mentor_pl.models import source as model_source
from mentor_pl.models.loading import load_frozen, load_policy
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import shared_vocabulary
from mentor_pl.runtime.errors import UsageError


@pytest.mark.parametrize("role", ["policy", "expert"])
def test_a_missing_folder_is_named_with_its_role(role, qwen2_folder, tmp_path):
    missing = tmp_path / "nowhere"
    message = refusal(missing) if role == "policy" else refusal(qwen2_folder, missing)
    assert message.startswith(f"{role} '{missing}': no such folder")


@pytest.mark.parametrize("path", ["./nowhere", "../nowhere/deep", "nowhere/config.json", "a/b/c"])
def test_a_relative_path_that_leads_nowhere_is_not_looked_up_on_the_hub(path):
    assert f"policy '{path}': no such folder here" in refusal(path)


def test_a_mistyped_folder_beside_others_is_not_looked_up_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models/policy").mkdir(parents=True)
    monkeypatch.setattr(model_source, "hub_problem", lambda name, kind: pytest.fail("the Hub was asked"))
    assert "policy 'models/polcy': no such folder here" in refusal("models/polcy")


def test_a_name_that_the_hub_cannot_give_is_refused_at_once_and_no_library_asks(monkeypatch):
    monkeypatch.setattr(model_source, "hub_problem", lambda name, kind: f"the Hub has no such {kind}")
    monkeypatch.setattr(model_source.AutoTokenizer, "from_pretrained", lambda *_, **__: pytest.fail("a library asked"))
    assert "policy 'nobody/nothing': no such folder here" in refusal("nobody/nothing")
    assert ", and the Hub has no such model: give a model folder" in refusal("nobody/nothing")


def test_a_path_below_the_home_folder_is_found(qwen2_folder, monkeypatch):
    monkeypatch.setenv("HOME", str(qwen2_folder.parent))
    assert shared_vocabulary(source(f"~/{qwen2_folder.name}"), None)[1].window == 512


def test_a_folder_without_a_model_is_one_line(tmp_path):
    assert f"policy '{tmp_path}': its tokenizer cannot be read" in refusal(tmp_path)


def test_a_folder_without_a_configuration_is_one_line(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model", drop=["config.json"])
    assert f"policy '{folder}': its configuration cannot be read" in refusal(folder)


@pytest.mark.parametrize("family", ["qwen2", "llama"])
def test_a_folder_without_a_tokenizer_is_one_line(family, request, tmp_path):
    # transformers makes a Qwen2 tokenizer of one id, its EOS, out of nothing: that must not pass for a vocabulary
    files = ["tokenizer.json", "tokenizer_config.json"]
    folder = copied(request.getfixturevalue(f"{family}_folder"), tmp_path / "model", drop=files)
    assert f"policy '{folder}'" in refusal(folder)


def test_a_field_of_the_configuration_that_cannot_be_is_one_line(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model", {"hidden_size": "wide"})
    assert "hidden_size" in refusal(folder)


def test_a_configuration_that_is_not_json_is_one_line(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model")
    (folder / "config.json").write_text("{")
    assert f"policy '{folder}'" in refusal(folder)


def test_a_folder_without_weights_is_one_line(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model", drop=["model.safetensors"])
    with pytest.raises(UsageError, match="its weights cannot be read") as caught:
        load_policy(source(folder))
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_the_configuration_are_one_line(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model", {"hidden_size": 64})
    with pytest.raises(UsageError, match=re.escape(f"policy '{folder}'")) as caught:
        load_policy(source(folder))
    assert "\n" not in str(caught.value)


def test_dropout_is_refused_in_a_policy_and_does_no_harm_in_an_expert(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model", {"attention_dropout": 0.1})
    with pytest.raises(UsageError, match=r"sets attention_dropout to 0\.1, .* set it to 0 in config\.json"):
        load_policy(source(folder))
    assert not load_frozen(source(folder, "expert"), torch.float32).training


def test_weights_that_are_cut_off_are_one_line(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UsageError, match="its weights cannot be read") as caught:
        load_policy(source(folder))
    assert "\n" not in str(caught.value)


def test_an_id_that_the_expert_lacks_is_refused(llama_folder, llama_expert_folder, tmp_path):
    policy = copied(llama_folder, tmp_path / "policy")
    tokenizer = AutoTokenizer.from_pretrained(policy)
    tokenizer.add_tokens(["novel"])
    tokenizer.save_pretrained(policy)
    message = refusal(policy, llama_expert_folder)
    assert f"id {len(tokenizer) - 1} is 'novel' to the policy and nothing to the expert" in message


@pytest.mark.parametrize("role", ["policy", "expert"])
def test_an_embedding_smaller_than_the_tokenizer_is_refused(role, llama_folder, llama_expert_folder, tmp_path):
    folders = {"policy": llama_folder, "expert": llama_expert_folder}
    folders[role] = copied(folders[role], tmp_path / role, {"vocab_size": 10})
    message = refusal(folders["policy"], folders["expert"])
    assert message.startswith(f"{role} '{folders[role]}' embeds 10 ids, but the tokenizer has ")


def test_nothing_that_ends_a_response_is_refused(llama_folder, tmp_path):
    folder = copied(llama_folder, tmp_path / "model", {"eos_token_id": None}, drop=["generation_config.json"])
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "eos_token": None}))
    assert "has no end-of-sequence token" in refusal(folder)


def test_the_policy_is_whole_in_float32_in_training_mode_and_scores_tokens(qwen2_folder):
    policy = load_policy(source(qwen2_folder))
    assert {parameter.dtype for parameter in policy.parameters()} == {torch.float32}
    assert all(parameter.requires_grad for parameter in policy.parameters())
    assert policy.training
    one = torch.tensor([1])
    assert policy.token_logprobs(one[None], one, one[None], one, vocab_size=320)[0].shape == (1, 1)


def test_gradient_checkpointing_is_a_switch(qwen2_folder):
    assert not load_policy(source(qwen2_folder)).is_gradient_checkpointing
    assert load_policy(source(qwen2_folder), gradient_checkpointing=True).is_gradient_checkpointing


def test_the_expert_is_frozen_in_eval_mode_and_keeps_its_rotary_frequencies_in_float32(qwen2_expert_folder):
    expert = load_frozen(source(qwen2_expert_folder, "expert"), torch.bfloat16)
    assert {parameter.dtype for parameter in expert.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in expert.parameters())
    assert not expert.training
    assert expert.model.rotary_emb.inv_freq.dtype == torch.float32


def test_a_json_configuration_gives_random_weights_that_the_seed_decides(qwen2_folder):
    config = source(qwen2_folder / "config.json")
    tokenizer, vocabulary = shared_vocabulary(config, None)
    assert vocabulary.size == len(tokenizer) == 320

    def weights(seed):
        torch.manual_seed(seed)
        return load_policy(config).lm_head.weight

    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))
    assert not torch.equal(weights(5), load_policy(source(qwen2_folder)).lm_head.weight)


def test_a_json_configuration_that_is_missing_is_one_line(qwen2_folder):
    assert "cannot be read" in refusal(qwen2_folder / "other.json")


class Mark:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_weights_that_are_a_pickle_run_nothing(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model", drop=("model.safetensors",))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Mark(tmp_path / "ran")))
    with pytest.raises(UsageError, match="its weights cannot be read"):
        source(folder).weights(torch.float32)
    assert not (tmp_path / "ran").exists()


def test_a_configuration_cannot_ask_for_attention_by_code_of_the_hub(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model", config={"attn_implementation": "stranger/kernel"})
    for read in (source(folder).config, lambda: source(folder).weights(torch.float32)):
        with pytest.raises(UsageError, match="asks for attention by code of the Hub, 'stranger/kernel'"):
            read()
    assert ModelSource(str(folder), "policy", trust_remote_code=True).config()._attn_implementation == "stranger/kernel"


def test_gguf_is_refused_with_how_to_convert_it(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model")
    file = folder / "model.Q4_1.gguf"
    file.write_bytes(b"GGUF")
    assert source(folder).config().model_type == "qwen2"  # beside weights that can be loaded it is passed over
    (folder / "model.safetensors").unlink()
    line = "is GGUF, weights packed for other decoders: make a model folder of it by `python scripts/gguf_folder.py "
    for path in (folder, file):
        with pytest.raises(UsageError, match=re.escape(f"{line}{file} --out FOLDER`, and give that")):
            source(path).config()


def test_an_adapter_does_not_choose_the_model_that_is_loaded(qwen2_folder, tmp_path):
    folder = copied(qwen2_folder, tmp_path / "model")
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "stranger/model"}')
    with pytest.raises(UsageError, match="is an adapter to a model that it names itself"):
        source(folder).config()
