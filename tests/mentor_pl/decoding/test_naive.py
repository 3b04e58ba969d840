"""The mixed sampler draws from π_mix exactly, and what it reports is what a plain forward says.

Two kinds of models: lookup tables, whose joint distribution can be enumerated, and tiny random Qwen2 and Llama folders.
"""

import pytest
import torch

from mentor_pl.decoding import naive
from mentor_pl.decoding.base import decoding
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.noise import DRAFT, RESIDUAL, rollout_keys
from mentor_pl.decoding.sampling import Sampling, draw, entropy, guide
from mentor_pl.errors import UsageError
from mentor_pl.gates import ConstantGate, EntropyGate
from mentor_pl.logprobs import token_logprobs


def keys(n, seed=11):
    return rollout_keys(seed, 0, torch.arange(n), torch.zeros(n, dtype=torch.int64))


def gate_of(gamma):
    gate = EntropyGate()
    gate.observe(torch.tensor([gamma]))
    return gate


def sample(models, prompts, key, sampling, gate=None, rows=256):
    with decoding(models.policy):
        return Naive(rows)(models, prompts, key, sampling, gate)


# ---------------------------------------------------------------- exactness on lookup tables

SAMPLES, GAMMA, END = 200_000, 2.0, 4
DRAWS = Sampling(max_new_tokens=3)


@pytest.fixture(scope="module")
def toy(lookup_models):
    """Policy and expert over t0 … t3 and <eos> (4), whose distributions depend on the place and on the last token."""
    generator = torch.Generator().manual_seed(3)
    policy, expert = (torch.randn(3, 5, 5, generator=generator) * 1.2 for _ in range(2))
    return lookup_models(policy, expert)


@pytest.fixture(scope="module")
def joint(toy):
    """Response -> its probability under autoregressive sampling from π_mix, enumerated in float64."""
    policy, expert = (model.table.detach().double().log_softmax(-1) for model in (toy.policy, toy.expert))
    w = (entropy(policy.flatten(0, 1)) / GAMMA).clamp(0, 1).view(3, 5)
    assert w.min() > 0.1
    assert w.max() < 1
    assert w.max() - w.min() > 0.3  # between 0 and 1, and varying with the context
    mixture = (1 - w[..., None]) * policy.exp() + w[..., None] * expert.exp()  # [3, 5, 5]

    probabilities = {}

    def extend(response, probability):
        if len(response) == 3 or END in response:
            probabilities[response] = probability
            return
        last = response[-1] if response else 0  # the prompt is the token 0
        for token in range(5):
            extend((*response, token), probability * float(mixture[len(response), last, token]))

    extend((), 1.0)
    assert len(probabilities) == 1 + 4 + 16 * 5
    assert sum(probabilities.values()) == pytest.approx(1)
    return probabilities


def joint_p(toy, joint, chi_square, n=SAMPLES):
    """p-value of n responses to the prompt 0 against the joint distribution."""
    samples = sample(toy, [[0]] * n, keys(n), DRAWS, gate_of(GAMMA), rows=n)
    assert samples.ids.shape == (n, 3)
    codes = (samples.ids * torch.tensor([25, 5, 1])).sum(-1)  # what follows <eos> is padded with 0
    probabilities = torch.zeros(125, dtype=torch.float64)
    for response, probability in joint.items():
        probabilities[sum(token * 5 ** (2 - place) for place, token in enumerate(response))] = probability
    return chi_square(torch.bincount(codes, minlength=125), probabilities)


# α = 1e-3 on one fixed seed. Power: with 85 responses and 200,000 samples, a χ² distance of 6e-4 from the right joint
# distribution (an rms error of 2.5 % in a response's probability) is caught with probability above .99.
JOINT_ALPHA = 1e-3
BROKEN = SAMPLES // 4  # a wrong sampler shows with fewer


def test_three_tokens_are_jointly_distributed_as_autoregressive_sampling_from_the_mixture(toy, joint, chi_square):
    assert joint_p(toy, joint, chi_square) > JOINT_ALPHA


def residual_from_the_expert(policy, expert, draft, weights, coin, noise):
    _, guided, replaced = guide(policy, expert, draft, weights, coin, noise)
    return torch.where(replaced, draw(expert, noise), draft), guided, replaced


def coin_ignored(policy, expert, draft, weights, coin, noise):
    return guide(policy, expert, draft, torch.ones_like(weights), coin, noise)


def coin_counted_twice(policy, expert, draft, weights, coin, noise):
    return guide(policy, expert, draft, weights.square(), coin, noise)


def gate_read_from_the_expert(policy, expert, draft, weights, coin, noise):
    return guide(policy, expert, draft, (entropy(expert) / GAMMA).clamp(0, 1), coin, noise)


def nothing_ever_rejected(policy, expert, draft, weights, coin, noise):
    return draft, coin <= weights, torch.zeros_like(draft, dtype=torch.bool)


@pytest.mark.parametrize(
    "broken",
    [residual_from_the_expert, coin_ignored, coin_counted_twice, gate_read_from_the_expert, nothing_ever_rejected],
    ids=lambda function: function.__name__,
)
def test_the_joint_test_catches_a_wrong_rule(broken, toy, joint, chi_square, monkeypatch):
    monkeypatch.setattr(naive, "guide", broken)
    assert joint_p(toy, joint, chi_square, BROKEN) < 1e-9


def test_the_joint_test_catches_the_drafts_noise_drawn_again_for_the_residual(toy, joint, chi_square, monkeypatch):
    right = naive.exponential
    monkeypatch.setattr(
        naive, "exponential", lambda k, at, stream, size: right(k, at, DRAFT if stream == RESIDUAL else stream, size)
    )
    assert joint_p(toy, joint, chi_square, BROKEN) < 1e-9


@pytest.mark.parametrize("decision", ["exponential", "uniform"])
def test_the_joint_test_catches_noise_that_is_the_same_at_every_position(decision, toy, joint, chi_square, monkeypatch):
    right = getattr(naive, decision)
    monkeypatch.setattr(naive, decision, lambda k, at, *rest: right(k, torch.zeros_like(at), *rest))
    assert joint_p(toy, joint, chi_square, BROKEN) < 1e-9


def test_on_policy_tokens_are_jointly_distributed_as_the_policy(toy, chi_square):
    samples = sample(toy, [[0]] * SAMPLES, keys(SAMPLES), Sampling(max_new_tokens=2), rows=SAMPLES)
    first, second = toy.policy.table[0, 0].softmax(-1), toy.policy.table[1].softmax(-1)
    expected = first[:, None] * second
    expected[END] = first[END] * torch.eye(5)[0]  # <eos> ends the response, which is padded with 0
    counts = torch.bincount(samples.ids[:, 0] * 5 + samples.ids[:, 1], minlength=25)
    assert chi_square(counts, expected) > JOINT_ALPHA


def test_what_is_reported_of_each_token_is_the_tables(toy):
    samples = sample(toy, [[0]] * 500, keys(500), DRAWS, gate_of(GAMMA))
    policy = toy.policy.table.detach().log_softmax(-1)
    for row, length in enumerate(samples.lengths.tolist()):
        last = 0
        for place, token in enumerate(samples.ids[row, :length].tolist()):
            h = float(entropy(policy[place, last][None]))
            assert samples.logprobs[row, place].item() == pytest.approx(policy[place, last, token].item(), abs=1e-6)
            assert samples.entropies[row, place].item() == pytest.approx(h, abs=1e-6)
            assert samples.gate_weights[row, place].item() == pytest.approx(h / GAMMA, abs=1e-6)
            last = token
        for column in (samples.ids, samples.logprobs, samples.entropies, samples.gate_weights, samples.guided):
            assert not column[row, length:].any()  # nothing is left of what lies after the stop token


def test_guided_and_replaced_shares_are_the_gates_and_the_total_variation(toy):
    samples = sample(toy, [[0]] * SAMPLES, keys(SAMPLES), Sampling(max_new_tokens=1), gate_of(GAMMA), rows=SAMPLES)
    policy, expert = (model.table[0, 0].detach().softmax(-1) for model in (toy.policy, toy.expert))
    w = float(entropy(policy.log()[None])) / GAMMA
    distance = float((policy - expert).abs().sum()) / 2
    # four standard errors of a share of 200,000 are .0045 at most
    assert samples.guided.float().mean().item() == pytest.approx(w, abs=0.0045)
    assert samples.replaced.float().mean().item() == pytest.approx(w * distance, abs=0.0045)


# ---------------------------------------------------------------- where responses end

# token 1 follows 0, token 2 follows 1, and so on: a response to [0] is 1, 2, 3, …
COUNTING = torch.full((1, 5, 5), -50.0) + 100 * torch.eye(5).roll(1, 1)


@pytest.mark.parametrize(
    ("stop", "limit", "response", "truncated"),
    [
        (1, 3, [1], False),  # at the first position
        (2, 3, [1, 2], False),
        (3, 3, [1, 2, 3], False),  # at the last position that is allowed
        (4, 3, [1, 2, 3], True),  # one too late
        (1, 1, [1], False),
        (2, 1, [1], True),
    ],
)
@pytest.mark.parametrize("gate", [None, ConstantGate(0.5)], ids=["on-policy", "mixed"])
def test_a_response_ends_with_its_stop_token_or_is_truncated_at_the_limit(
    stop, limit, response, truncated, gate, lookup_models
):
    models = lookup_models(COUNTING, COUNTING, stop_ids=[stop])
    samples = sample(models, [[0]], keys(1), Sampling(max_new_tokens=limit), gate)
    assert samples.ids.tolist() == [response]
    assert samples.lengths.tolist() == [len(response)]
    assert samples.truncated.tolist() == [truncated]


def test_rows_end_one_by_one_and_the_others_go_on(lookup_models):
    # prompts that end on 3, 1, 2 reach the stop token 4 after 1, 3 and 2 tokens; the one on 0 not within 3
    models = lookup_models(COUNTING, stop_ids=[4])
    samples = sample(models, [[3], [0, 1], [2], [1, 1, 0]], keys(4), Sampling(max_new_tokens=3))
    assert samples.ids.tolist() == [[4, 0, 0], [2, 3, 4], [3, 4, 0], [1, 2, 3]]
    assert samples.lengths.tolist() == [1, 3, 2, 3]
    assert samples.truncated.tolist() == [False, False, False, True]


def test_any_of_several_stop_tokens_ends_a_response(lookup_models):
    models = lookup_models(COUNTING, stop_ids=[2, 4])
    samples = sample(models, [[0], [2], [3]], keys(3), Sampling(max_new_tokens=5))
    assert samples.ids.tolist() == [[1, 2], [3, 4], [4, 0]]
    assert samples.lengths.tolist() == [2, 2, 1]


def test_responses_are_as_wide_as_the_longest_and_not_as_the_limit(lookup_models):
    models = lookup_models(COUNTING, stop_ids=[4])
    samples = sample(models, [[3], [2]], keys(2), Sampling(max_new_tokens=50))
    assert {tuple(value.shape) for value in vars(samples).values()} == {(2, 2), (2,)}


def test_padded_ids_are_never_sampled_and_have_no_part_in_the_entropy(lookup_models):
    # three columns beyond the five ids, each e^50 times as likely as they are, in both models
    padded = torch.cat([torch.zeros(1, 5, 5), torch.full((1, 5, 3), 50.0)], dim=-1)
    models = lookup_models(padded, padded, stop_ids=[4])
    for gate in (None, ConstantGate(1.0)):
        samples = sample(models, [[0]] * 300, keys(300), Sampling(max_new_tokens=4), gate)
        assert samples.ids.max() == 4
        real = samples.logprobs != 0
        assert samples.entropies[real].tolist() == pytest.approx([torch.tensor(5.0).log().item()] * int(real.sum()))


def test_positions_count_the_rows_own_tokens_and_not_the_padding(lookup_models):
    # at place p the model always says p: a prompt of length n is answered with n − 1, n, …
    places = torch.full((5, 6, 6), -50.0)
    for place in range(5):
        places[place, :, place] = 50
    models = lookup_models(places, stop_ids=[5])
    samples = sample(models, [[0], [0, 0, 0], [0, 0]], keys(3), Sampling(max_new_tokens=2))
    assert samples.ids.tolist() == [[0, 1], [2, 3], [1, 2]]


# ---------------------------------------------------------------- real models

TEXTS = (
    "find the value of x",
    "we try",
    "wait , let us verify the product and the sum of 3 and 4",
    "the answer is",
    "<think> if x = 2 then",
)
FAMILIES = ["qwen2", "llama"]
LIMIT = Sampling(max_new_tokens=12)


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, build_models):
    """Policy and expert of one family; a ninth of all ids end a response, so that lengths differ."""
    policy = request.getfixturevalue(f"{request.param}_folder")
    expert = request.getfixturevalue(f"{request.param}_expert_folder")
    return build_models(policy, expert, stop_ids=range(1, 320 if request.param == "qwen2" else 40, 9))


def rollouts_of(pair, per_prompt=3):
    prompts = [pair.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(per_prompt)]
    assert len({len(prompt) for prompt in prompts}) >= 4  # padding has something to do
    return prompts, keys(len(prompts))


def equal(one, other, rows=slice(None)):
    """Same tokens and flags bit for bit; numbers to what a different padding may round."""
    for name, values in vars(one).items():
        if values.dtype == torch.float32:
            assert torch.allclose(values[rows], getattr(other, name), atol=1e-4), name
        else:
            assert torch.equal(values[rows], getattr(other, name)), name


@pytest.mark.parametrize("gate", [None, gate_of(4.5)], ids=["on-policy", "mixed"])
def test_the_same_keys_give_the_same_rollouts_in_any_batch(gate, pair):
    prompts, key = rollouts_of(pair)
    whole = sample(pair, prompts, key, LIMIT, gate, rows=256)
    assert len(whole.lengths.unique()) >= 4
    assert whole.truncated.any()
    for rows in (1, 5):
        equal(whole, sample(pair, prompts, key, LIMIT, gate, rows=rows))
    order = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(1))
    shuffled = sample(pair, [prompts[i] for i in order], key[order], LIMIT, gate, rows=7)
    equal(whole, shuffled, order)


def test_other_keys_give_other_rollouts(pair):
    prompts, key = rollouts_of(pair)
    assert not torch.equal(
        sample(pair, prompts, key, LIMIT).ids[:, 0], sample(pair, prompts, keys(len(prompts), 12), LIMIT).ids[:, 0]
    )


def test_weight_zero_returns_the_on_policy_rollouts_bit_for_bit(pair):
    prompts, key = rollouts_of(pair)
    alone, mixed = (sample(pair, prompts, key, LIMIT, gate) for gate in (None, ConstantGate(0.0)))
    for name, values in vars(alone).items():
        assert torch.equal(values, getattr(mixed, name)), name
    assert not mixed.guided.any()


def test_an_expert_equal_to_the_policy_replaces_nothing(pair):
    prompts, key = rollouts_of(pair)
    twins = type(pair)(pair.policy, pair.policy, pair.tokenizer, pair.vocabulary)
    alone, mixed = (sample(twins, prompts, key, LIMIT, gate) for gate in (None, ConstantGate(0.7)))
    assert torch.equal(alone.ids, mixed.ids)
    assert mixed.guided.any()
    assert not mixed.replaced.any()


def test_weight_one_draws_from_the_expert(pair, chi_square):
    prompt = pair.tokenizer(TEXTS[0])["input_ids"]
    n = 4_000
    samples = sample(pair, [prompt] * n, keys(n), Sampling(max_new_tokens=1), ConstantGate(1.0), rows=1_000)
    policy, expert = (
        model(torch.tensor([prompt])).logits[0, -1, : pair.vocabulary.size].detach().softmax(-1)
        for model in (pair.policy, pair.expert)
    )
    counts = torch.bincount(samples.ids[:, 0], minlength=pair.vocabulary.size)
    assert chi_square(counts, expert) > 1e-4
    assert chi_square(counts, policy) < 1e-9  # the two are far enough apart to tell
    assert samples.guided.all()


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_reported_logprobs_and_entropies_are_those_of_a_plain_forward_and_of_token_logprobs(temperature, pair):
    prompts, key = rollouts_of(pair, 2)
    sampling = Sampling(temperature=temperature, max_new_tokens=12)
    samples = sample(pair, prompts, key, sampling, gate_of(4.5))
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
        )
    assert torch.allclose(logprobs, samples.logprobs, atol=1e-4)
    assert torch.allclose(entropies, samples.entropies, atol=1e-4)


def test_the_expert_reads_the_same_sequence_as_the_policy(pair, monkeypatch):
    # what `guide` is given of the expert, against plain forwards over prompt and response so far
    seen = []

    def watched(policy, expert, *rest):
        seen.append(expert)
        return guide(policy, expert, *rest)

    monkeypatch.setattr(naive, "guide", watched)
    prompts = [pair.tokenizer(text)["input_ids"] for text in TEXTS]
    endless = type(pair)(
        pair.policy, pair.expert, pair.tokenizer, type(pair.vocabulary)(pair.vocabulary.size, (-1,), 512)
    )
    samples = sample(endless, prompts, keys(5), Sampling(max_new_tokens=4), gate_of(4.5))
    assert len(seen) == 4
    for row, prompt in enumerate(prompts):
        with torch.no_grad():
            logits = pair.expert(torch.tensor([prompt + samples.ids[row].tolist()])).logits[0]
        expected = logits[len(prompt) - 1 : -1, : pair.vocabulary.size].log_softmax(-1)
        assert torch.allclose(torch.stack([step[row] for step in seen]), expected, atol=1e-4)


def test_greedy_takes_the_likeliest_token_whatever_the_noise(pair):
    prompts, _ = rollouts_of(pair, 1)
    greedy = Sampling(temperature=0.0, max_new_tokens=6)
    one, other = (sample(pair, prompts, keys(len(prompts), seed), greedy) for seed in (1, 2))
    assert torch.equal(one.ids, other.ids)
    for row, prompt in enumerate(prompts):
        sequence = list(prompt)
        for token in one.ids[row, : one.lengths[row]].tolist():
            with torch.no_grad():
                logits = pair.policy(torch.tensor([sequence])).logits[0, -1, : pair.vocabulary.size]
            assert token == int(logits.argmax())
            sequence.append(token)


def test_filters_bound_what_can_be_sampled(pair):
    prompt = pair.tokenizer(TEXTS[0])["input_ids"]
    with torch.no_grad():
        logits = pair.policy(torch.tensor([prompt])).logits[0, -1, : pair.vocabulary.size]
    samples = sample(pair, [prompt] * 500, keys(500), Sampling(top_k=3, max_new_tokens=1))
    assert set(samples.ids.flatten().tolist()) == set(logits.topk(3).indices.tolist())


def test_huge_logits_of_padded_ids_change_nothing(pair):
    prompts, key = rollouts_of(pair, 1)
    size, head = pair.vocabulary.size, pair.policy.lm_head.weight
    before = sample(pair, prompts, key, LIMIT)
    saved = head.detach().clone()
    try:
        head.data[size:] *= 1000
        after = sample(pair, prompts, key, LIMIT)
    finally:
        head.data.copy_(saved)
    assert len(saved) > size
    equal(before, after)


# ---------------------------------------------------------------- misuse


def test_a_gate_without_an_expert_is_a_usage_error(lookup_models):
    with pytest.raises(UsageError, match="need an expert"):
        sample(lookup_models(COUNTING), [[0]], keys(1), DRAWS, ConstantGate(0.5))


def test_a_gate_at_temperature_zero_is_a_usage_error(toy):
    with pytest.raises(UsageError, match="temperature above 0"):
        sample(toy, [[0]], keys(1), Sampling(temperature=0.0), ConstantGate(0.5))


def test_fewer_than_one_row_is_a_usage_error():
    with pytest.raises(UsageError, match="rows is 0"):
        Naive(0)


def test_no_prompts_give_no_rollouts(toy):
    assert sample(toy, [], keys(0), DRAWS).ids.shape == (0, 0)
