import json
import shutil

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from callbacks import ExportPolicy
from mentor_pl.models.source import ModelSource
from mentor_pl.models.vocabulary import shared_vocabulary


def test_the_trained_policy_is_an_ordinary_model_folder(run, tmp_path, llama_folder):
    weights = run(steps=1, callbacks=[ExportPolicy(str(tmp_path / "out"))]).fit()
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    before = AutoModelForCausalLM.from_pretrained(llama_folder).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "out").get_vocab()
        == AutoTokenizer.from_pretrained(llama_folder).get_vocab()
    )


@pytest.mark.parametrize(("named", "stop_ids"), [(None, (1, 9, 11)), (["</s>", "the", "we"], None)])
def test_responses_of_the_exported_policy_end_where_those_in_training_did(
    named, stop_ids, run, tmp_path, llama_folder, llama_expert_folder
):
    policy, expert = tmp_path / "policy", tmp_path / "expert"
    for folder, target, own in ((llama_folder, policy, 11), (llama_expert_folder, expert, 9)):
        shutil.copytree(folder, target)
        for file in ("config.json", "generation_config.json"):
            values = json.loads((target / file).read_text())
            (target / file).write_text(json.dumps(values | {"eos_token_id": own}))
    options = {"policy": str(policy), "expert": str(expert), "stop_tokens": named}
    job = run(steps=1, callbacks=[ExportPolicy(str(tmp_path / "out"))], module_options=options)
    if named is not None:
        stop_ids = tuple(sorted(job.module.tokenizer.convert_tokens_to_ids(named)))
    assert job.module.vocabulary.stop_ids == stop_ids
    job.fit()
    assert shared_vocabulary(ModelSource(str(tmp_path / "out"), "policy"), None)[1].stop_ids == stop_ids
    for file in ("config.json", "generation_config.json"):  # whatever else decodes from the folder reads these
        assert json.loads((tmp_path / "out" / file).read_text())["eos_token_id"] == list(stop_ids)
