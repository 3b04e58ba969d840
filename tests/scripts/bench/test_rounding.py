"""What is read again are the log-probabilities that an update reads; what is missing is said in one line."""

import sys

import pytest
import rounding
import torch
from model import make_model
from transformers import AutoModelForCausalLM

from mentor_pl.models.logprobs import token_logprobs


def test_what_is_read_again_is_what_an_update_reads(tmp_path):
    make_model(tmp_path, 50, 32, 1, 64)
    policy = AutoModelForCausalLM.from_pretrained(tmp_path)
    prompts, ids = [[3, 4, 5], [6, 7, 8]], torch.tensor([[9, 10], [11, 12]])
    lengths = torch.tensor([3, 3]), torch.tensor([2, 2])
    right = token_logprobs(
        policy, torch.tensor(prompts), lengths[0], ids, lengths[1], vocab_size=policy.config.vocab_size
    )
    assert (rounding.read_again(policy, prompts, ids) - right.logprobs).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("installed", "said"), [(None, "run `pip install mentor-pl[lora]`"), ("peft", "has no config.json")]
)
def test_what_is_missing_is_said_in_one_line(installed, said, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(rounding, "find_spec", lambda name: installed)
    monkeypatch.setattr(sys, "argv", ["rounding.py", "--model", str(tmp_path)])
    with pytest.raises(SystemExit):
        rounding.main()
    assert said in capsys.readouterr().err.splitlines()[-1]
