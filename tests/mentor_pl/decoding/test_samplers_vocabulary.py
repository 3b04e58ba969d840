"""Which ids can be sampled: the likeliest where it is greedy, those that a filter keeps, and never a padded one."""

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.loading import Models
from mentor_pl.models.vocabulary import Vocabulary


def test_greedy_takes_the_likeliest_token_whatever_the_noise(pair, rollouts, keys, sample):
    prompts, greedy = rollouts[0][::8], SamplingParams(temperature=0.0, max_new_tokens=6)
    one, other = (sample(Coin(), pair, prompts, keys(len(prompts), seed), greedy) for seed in (1, 2))
    assert torch.equal(one.ids, other.ids)
    for row, prompt in enumerate(prompts):
        sequence = list(prompt)
        for token in one.ids[row, : one.lengths[row]].tolist():
            with torch.no_grad():
                logits = pair.policy(torch.tensor([sequence])).logits[0, -1, : pair.vocabulary.size]
            assert token == int(logits.argmax())
            sequence.append(token)


def test_filters_bound_what_can_be_sampled(pair, keys, sample):
    prompt = pair.tokenizer("find the value of x")["input_ids"]
    with torch.no_grad():
        logits = pair.policy(torch.tensor([prompt])).logits[0, -1, : pair.vocabulary.size]
    samples = sample(Coin(), pair, [prompt] * 500, keys(500), SamplingParams(top_k=3, max_new_tokens=1))
    assert set(samples.ids.flatten().tolist()) == set(logits.topk(3).indices.tolist())


@pytest.mark.parametrize("sampler", [Coin, Algorithm1, Naive])
def test_padded_ids_are_never_sampled_and_have_no_part_in_the_entropy(sampler, lookup_models, keys, sample):
    # three columns beyond the five ids in the policy and five in the expert, each e⁵⁰ times as likely as they are
    tables = [torch.cat([torch.zeros(1, 5, 5), torch.full((1, 5, extra), 50.0)], dim=-1) for extra in (3, 5)]
    models = lookup_models(*tables, stop_ids=[4])
    for gate in (None, ConstantGate(0.5), ConstantGate(1.0)):
        samples = sample(sampler(), models, [[0]] * 300, keys(300), SamplingParams(max_new_tokens=4), gate)
        assert samples.ids.max() == 4
        real = samples.logprobs != 0
        assert samples.entropies[real].tolist() == pytest.approx([torch.tensor(5.0).log().item()] * int(real.sum()))


def test_vocabularies_of_qwen2_5_are_padded_differently_and_mixed_over_the_tokenizers_ids(keys, sample, equal_samples):
    # Qwen2.5-3B embeds 151,936 rows and the larger ones 152,064; the tokenizer has 151,665 ids
    ids = 151_665

    def model(rows, seed):
        config = Qwen2Config(
            vocab_size=rows,
            hidden_size=8,
            intermediate_size=8,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=True,
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            made = AutoModelForCausalLM.from_config(config).eval()
        made.lm_head.weight.data[ids:] = 1000 * made.lm_head.weight.data[ids:]  # padding would win every draw
        return made

    models = Models(model(151_936, 1), model(152_064, 2), None, Vocabulary(ids, (ids - 1,), 2**15))
    prompts, key, sampling = [[5, 6, 7], [8], [9, 10]], keys(3), SamplingParams(max_new_tokens=5)
    # nearly uniform over 151,665 ids: H = ln 151,665 = 11.93
    naive, coin, algorithm1 = (
        sample(sampler, models, prompts, key, sampling, ConstantGate(0.4))
        for sampler in (Naive(), Coin(FixedK(2)), Algorithm1(3))
    )
    equal_samples(naive, coin)
    equal_samples(naive, algorithm1)
    assert naive.ids.max() < ids
    assert naive.entropies.min() > 11
    assert naive.entropies.max() < torch.tensor(ids).log()
    assert naive.guided.any()
