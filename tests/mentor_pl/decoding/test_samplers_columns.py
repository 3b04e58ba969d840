"""What the samplers report of each token is what the models say: log-probability, entropy, weight, guided, replaced."""

import pytest
import torch

from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.logprobs import token_logprobs

GAMMA = 2.0  # under which the toys' weights lie between 0 and 1
LOOSE = 13.0  # under which one token in three is guided and one in five replaced
# At most so many rows at a time, so that rows are refilled and out of step.
ROWS = 3_000
TOY_SAMPLERS = {
    "coin": lambda: Coin(FixedK(3), rows=ROWS),
    "algorithm1": lambda: Algorithm1(4, rows=ROWS),
    "naive": lambda: Naive(rows=ROWS),
}


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_guided_and_replaced_shares_are_the_gates_and_the_total_variation(sampler, toy, keys, sample, gate_of):
    n = 50_000
    samples = sample(sampler(), toy, [[0]] * n, keys(n), SamplingParams(max_new_tokens=1), gate_of(GAMMA))
    policy, expert = (model.table[0, 0].detach().double().softmax(-1) for model in (toy.policy, toy.expert))
    w, distance = float(torch.special.entr(policy).sum()) / GAMMA, float((policy - expert).abs().sum()) / 2
    # four standard errors of a share of 50,000 are .009 at most
    assert samples.guided.float().mean().item() == pytest.approx(w, abs=0.009)
    assert samples.replaced.float().mean().item() == pytest.approx(w * distance, abs=0.009)
    assert not (samples.replaced & ~samples.guided).any()


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_what_is_reported_of_each_token_is_the_tables(sampler, toy, keys, sample, gate_of):
    samples = sample(sampler(), toy, [[0]] * 300, keys(300), SamplingParams(max_new_tokens=3), gate_of(GAMMA))
    for row, length in enumerate(samples.lengths.tolist()):
        last = 0
        for place, token in enumerate(samples.ids[row, :length].tolist()):
            p = toy.policy.table[place, last].detach().double().softmax(-1)
            h = float(torch.special.entr(p).sum())
            assert samples.logprobs[row, place].item() == pytest.approx(float(p[token].log()), abs=1e-5)
            assert samples.entropies[row, place].item() == pytest.approx(h, abs=1e-5)
            assert samples.gate_weights[row, place].item() == pytest.approx(h / GAMMA, abs=1e-5)
            last = token
        for column in (samples.ids, samples.logprobs, samples.entropies, samples.gate_weights):
            assert not column[row, length:].any()  # nothing is left of what was drafted behind the stop token
        assert not (samples.guided | samples.replaced)[row, length:].any()


@pytest.mark.parametrize("gamma", [None, LOOSE], ids=["on-policy", "mixed"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_reported_logprobs_and_entropies_are_those_of_a_plain_forward_and_of_token_logprobs(
    temperature, gamma, pair, rollouts, sample, gate_of
):
    prompts, key = rollouts[0][::4], rollouts[1][::4]
    sampling = SamplingParams(temperature=temperature, max_new_tokens=12)
    samples = sample(Coin(FixedK(3)), pair, prompts, key, sampling, gamma and gate_of(gamma))
    for row, prompt in enumerate(prompts):
        response = samples.ids[row, : samples.lengths[row]]
        with torch.no_grad():
            logits = pair.policy(torch.cat([torch.tensor(prompt), response])[None]).logits[0].double()
        logp = (logits[len(prompt) - 1 : -1, : pair.vocabulary.size] / temperature).log_softmax(-1)
        expected = logp.gather(1, response[:, None]).squeeze(1)
        assert torch.allclose(samples.logprobs[row, : len(response)].double(), expected, atol=1e-4)
        assert torch.allclose(samples.entropies[row, : len(response)].double(), -(logp.exp() * logp).sum(-1), atol=1e-4)
    longest = max(map(len, prompts))
    with torch.no_grad():
        logprobs, entropies = token_logprobs(
            pair.policy,
            torch.tensor([prompt + [0] * (longest - len(prompt)) for prompt in prompts]),
            torch.tensor([len(prompt) for prompt in prompts]),
            samples.ids,
            samples.lengths,
            vocab_size=pair.vocabulary.size,
            temperature=temperature,
        )[:2]
    assert torch.allclose(logprobs, samples.logprobs, atol=1e-4)
    assert torch.allclose(entropies, samples.entropies, atol=1e-4)
