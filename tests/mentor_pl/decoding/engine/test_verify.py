"""What a call of the expert reads at a time is bounded, however long rows have gone without a guided token."""

import torch

from mentor_pl.algorithms.parts.gates import ConstantGate, Gate
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine import attention_metadata, model_runner, verify
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.params import SamplingParams


class Uncertain(Gate):
    def __call__(self, drafts):
        return (drafts.entropies > 0.1).float()


def test_long_stretches_without_a_guided_token_are_read_in_bounded_chunks(lookup_models, keys, sample, monkeypatch):
    monkeypatch.setattr(model_runner, "SPAN_TOKENS", 4)
    monkeypatch.setattr(model_runner, "CHUNK_TOKENS", 8)
    shapes, init = [], attention_metadata.Varlen.__init__

    def noted(metadata, *arguments):
        init(metadata, *arguments)
        shapes.append((len(metadata.starts), metadata.longest))

    monkeypatch.setattr(attention_metadata.Varlen, "__init__", noted)
    # only the 20th token is uncertain
    table = torch.full((40, 5, 5), -50.0)
    table[:, :, 1] = 50
    table[19, :, 2] = 50
    models = lookup_models(table, table, stop_ids=[4])
    samples = sample(Coin(FixedK(2)), models, [[0]] * 5, keys(5), SamplingParams(max_new_tokens=24), Uncertain())
    assert samples.stats.scored_positions == 5
    assert samples.stats.expert_tokens == 5 * 20
    assert max(longest for _, longest in shapes) <= 4
    assert max(rows * longest for rows, longest in shapes) <= 8


def test_drafts_decided_a_few_at_a_time_become_what_they_become_together(lookup_models, keys, sample, monkeypatch):
    generator = torch.Generator().manual_seed(1)
    models = lookup_models(*(torch.randn(4, 5, 5, generator=generator) for _ in range(2)))
    prompts, sampling = [[0]] * 20, SamplingParams(max_new_tokens=12)
    together = sample(Coin(FixedK(4)), models, prompts, keys(20), sampling, ConstantGate(0.6))
    assert together.replaced.any()
    monkeypatch.setattr(verify, "DECIDED_ELEMENTS", 11)  # two drafts over five ids
    apart = sample(Coin(FixedK(4)), models, prompts, keys(20), sampling, ConstantGate(0.6))
    for name in ("ids", "guided", "replaced", "lengths", "logprobs"):
        assert torch.equal(getattr(together, name), getattr(apart, name)), name
