"""Lines of the GPU benchmark on what a card alone has, stood in for on a CPU."""

import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import gpu_kernels
import gpu_vllm
import pytest
import torch
from gpu import LINES
from gpu_setup import Setup, plainly
from torch.nn.functional import scaled_dot_product_attention
from varlen_standin import varlen_attn

from mentor_pl.decoding.engine import attention_metadata, kv_cache, one_pass

BY_NAME = {line.name: line for line in LINES}


@pytest.fixture
def setup(tmp_path):
    return Setup("cpu", True, 16, str(tmp_path))


@pytest.mark.parametrize("error", [0.0, 0.5])
def test_pages_read_in_place_are_held_against_pages_gathered(error, setup, monkeypatch):
    def attend(self, query, keys, values, scale, window):
        read = (self.read(keys), self.read(values))
        mask = self.mask(window, query.shape[1] // keys.shape[1], query.dtype)
        found = scaled_dot_product_attention(self.fold(query, keys.shape[1]), *read, attn_mask=mask, scale=scale)
        return self.unfold(found, query.shape[1]) + error

    monkeypatch.setattr(kv_cache, "usable", lambda *_: True)
    for kind in (attention_metadata.Decode, attention_metadata.Varlen):
        monkeypatch.setattr(kind, "attend", attend)
    off, ratio = BY_NAME["pages"].measure(setup)
    assert (off.value > 1e-3) is bool(error)
    assert ratio.value > 0
    assert kv_cache.usable()  # again


def test_attention_is_held_against_reading_keys_and_values_once(setup, monkeypatch):
    # of 64 rows, 21 places, 2 key heads of 16 numbers of 4 bytes, keys and values: 344,064 bytes
    monkeypatch.setattr(gpu_kernels, "_no_pages", lambda *_: "")
    monkeypatch.setattr(gpu_kernels, "bandwidth", lambda _: 344064 / 3)
    monkeypatch.setattr(gpu_kernels, "seconds_of", lambda setup, run, calls: run() or 12.0)
    monkeypatch.setattr(torch.nn.attention.varlen, "varlen_attn", varlen_attn)
    _, figure, *_ = BY_NAME["attention"].measure(setup)
    assert figure.value == pytest.approx(2)  # 6 s for each of two layers, against 3
    assert "21 places" in figure.detail


def test_products_are_held_against_reading_their_weights_once(setup, monkeypatch):
    # of 2 layers 64 · (128 + 64 + 3 · 128), and 512 · 64 behind them, of 4 bytes: 425,984 bytes
    counted = []
    monkeypatch.setattr(gpu_kernels, "bandwidth", lambda _: 425984 / 2)
    monkeypatch.setattr(gpu_kernels, "seconds_of", lambda setup, run, calls: counted.append(run()) or 3.0)
    assert [figure.value for figure in BY_NAME["products"].measure(setup)] == [1.5, 1.5]
    apart, joined = counted
    assert (len(apart), len(joined)) == (15, 9)
    assert torch.allclose(torch.cat(apart[:3], -1), joined[0], atol=1e-5)


@pytest.mark.parametrize("shift", [0, 1])
def test_the_one_pass_kernel_is_held_against_the_plain_way(shift, setup, monkeypatch):
    def kernel(logits, states, temperature, size):
        with plainly(one_pass):
            token, *values, _ = one_pass.drafts(*given, True)
        return token + shift, *values

    given = []
    drafts = one_pass.drafts

    def noted(*arguments):
        given[:] = arguments[:-1]
        return drafts(*arguments)

    monkeypatch.setattr(one_pass, "drafts", noted)
    monkeypatch.setattr(one_pass, "usable", lambda *_: True)
    monkeypatch.setattr(one_pass, "in_one_pass", kernel)
    equal, ratio, *_ = BY_NAME["sampling"].measure(setup)
    assert equal.value == 1 - shift
    assert equal.passed is not bool(shift)
    assert "|Δ log p| ≤ 0.0e+00, |Δ H| ≤ 0.0e+00" in ratio.detail


class Engine:
    """vLLM's, as far as it is asked."""

    missing = 0

    def __init__(self, model, **options):
        assert json.loads(Path(model, "config.json").read_text())["architectures"] == ["Qwen2ForCausalLM"]
        assert options["max_model_len"] == 24

    def generate(self, prompts, params, use_tqdm):
        assert all(len(prompt["prompt_token_ids"]) == 8 for prompt in prompts)
        response = SimpleNamespace(token_ids=[0] * (params.max_tokens - self.missing))
        return [SimpleNamespace(outputs=[response]) for _ in prompts]


@pytest.fixture
def installed(monkeypatch):
    monkeypatch.setattr(gpu_vllm, "REPEATS", 1)
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(LLM=Engine, SamplingParams=SimpleNamespace))
    monkeypatch.setattr(gpu_vllm, "find_spec", lambda name: ModuleSpec(name, None))


def test_vllm_is_measured_where_it_is_installed(installed, setup):
    ours, ratio = BY_NAME["vllm"].measure(setup)
    assert ours.value > 0
    assert ratio.value > 0


def test_responses_of_another_length_are_no_comparison(installed, setup, monkeypatch):
    monkeypatch.setattr(Engine, "missing", 1)
    with pytest.raises(RuntimeError, match=r"responses have \[15\] tokens, not 16"):
        list(BY_NAME["vllm"].measure(setup))


def test_attention_says_which_kernel_it_gets(setup):
    figures = list(gpu_kernels.attention(setup))
    assert [figure.value for figure in figures] == [0, 0]
    assert all(figure.detail == "the kernel is one of GPUs" for figure in figures)
