"""The kernel against the plain way, by Triton's interpreter on a CPU; merged parts by hand."""

import math
import subprocess
import sys

import pytest
import torch
from child_environment import ROOT, child_environment

from mentor_pl.decoding.engine.one_pass import drafts, merged, usable
from mentor_pl.decoding.params import SamplingParams

COMPARED = """
import torch
from mentor_pl.decoding.engine.one_pass import drafts, in_one_pass
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.noise import draft_state_and_coin

generator = torch.Generator().manual_seed(2)
rows = 0
for size, width, temperature, spread in [(5, 8, 1.0, 1.0), (1024, 1024, 0.6, 3.0), (9001, 9008, 1.3, 8.0)]:
    for dtype in (torch.float32, torch.bfloat16):
        logits = (spread * torch.randn(12, width, generator=generator)).to(dtype)
        logits[0] = 0
        logits[1, 1:] = -torch.inf  # as after a mask of a model's own
        keys = torch.randint(-(2**63), 2**63 - 1, (12,), generator=generator)
        places = torch.randint(0, 5000, (12,), generator=generator)
        sampling = SamplingParams(temperature=temperature)
        token, logprob, entropy, coin = drafts(logits, keys, places, sampling, size, True)
        state, same_coin = draft_state_and_coin(keys, places)
        found = in_one_pass(logits, state, temperature, size)
        assert torch.equal(coin, same_coin)
        assert torch.equal(found[0], token), (size, dtype, found[0], token)
        assert torch.allclose(found[1], logprob, atol=1e-5), (found[1] - logprob).abs().max()
        assert torch.allclose(found[2], entropy, atol=1e-5), (found[2] - entropy).abs().max()
        rows += 12
print(rows, "rows agree")
"""


def test_the_kernel_draws_what_the_plain_way_draws():
    pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs")
    environment = child_environment() | {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", COMPARED]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    if "only 0-dimensional arrays can be converted" in done.stderr:  # of a loop's bounds
        pytest.skip("the interpreter of this Triton is older than this NumPy")
    assert done.stdout.endswith("72 rows agree\n"), done.stderr[-2000:]


def test_parts_are_merged_by_hand():
    # probabilities ½, ¼ and ¼ in two parts, z = log p + 3; the second part's first id has won
    z = torch.tensor([0.5, 0.25, 0.25]).log() + 3
    first = [float(z[0]), 1.0, 0.0, 1.5, float(z[0])]
    second = [float(z[1]), 2.0, 0.0, 1.7, float(z[1])]
    token, logprob, entropy = merged(torch.tensor([[first, second]]), torch.tensor([[0, 1]]))
    assert token.tolist() == [1]
    assert logprob.item() == pytest.approx(math.log(0.25), abs=1e-6)
    assert entropy.item() == pytest.approx(1.5 * math.log(2), abs=1e-6)


@pytest.mark.parametrize("options", [{"temperature": 0}, {"top_p": 0.9}, {"top_k": 5}])
def test_filters_and_greedy_decoding_take_the_plain_way(options, monkeypatch):
    monkeypatch.setattr("mentor_pl.decoding.engine.one_pass._installed", lambda: True)
    gpu = torch.device("cuda")
    assert usable(SamplingParams(temperature=0.7), gpu)
    assert not usable(SamplingParams(**options), gpu)
    assert not usable(SamplingParams(), torch.device("cpu"))


def test_a_greedy_draft_is_the_likeliest_id_with_its_log_probability_and_the_entropy():
    logits = torch.tensor([[0.5, 0.25, 0.25, 9.0]]).log()
    token, logprob, entropy, coin = drafts(
        logits, torch.zeros(1).long(), torch.zeros(1).long(), SamplingParams(temperature=0), 3, False
    )
    assert (token.item(), coin) == (0, None)
    assert logprob.item() == pytest.approx(math.log(0.5), abs=1e-6)
    assert entropy.item() == pytest.approx(1.5 * math.log(2), abs=1e-6)
