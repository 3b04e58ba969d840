import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from callbacks import ExportPolicy


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
