"""What the three samplers guarantee alike: draws from π_mix, the same tokens on the same noise, honest columns.

Two kinds of models: lookup tables, whose joint distribution can be enumerated, and tiny random Qwen2, Qwen3 and Llama
folders, whose rollouts are replayed from scratch by plain forwards and the method's definitions.
"""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, Qwen2Config

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import ConstantGate, EntropyGate
from mentor_pl.decoding.algorithm1 import Algorithm1
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.distribution import entropy
from mentor_pl.decoding.engine import draft, verify
from mentor_pl.decoding.engine.lookahead import AnyFlag, FixedK, MarginalValue
from mentor_pl.decoding.engine.verify import CallResult, Verifier
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.noise import COIN, DRAFT, RESIDUAL, exponential, uniform
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.loading import Models, Vocabulary
from mentor_pl.models.logprobs import token_logprobs
from mentor_pl.runtime.errors import UsageError

# ---------------------------------------------------------------- exactness on lookup tables

# At most so many rows at a time: with 100,000 rollouts a call, rows are refilled 30 times over and are out of step.
ROWS = 3_000
TOY_SAMPLERS = {
    "coin": lambda: Coin(FixedK(3), rows=ROWS),
    "algorithm1": lambda: Algorithm1(4, rows=ROWS),
    "naive": lambda: Naive(rows=ROWS),
}
PER_CALL, GAMMA, END = 100_000, 2.0, 4
# α = 1e-3 of each test, on fixed noise. Power: with 85 responses and a million samples, a χ² distance of 1e-4 from the
# right joint distribution (an rms error of 1 % in a response's probability) is caught with probability .99; where
# 50,000 samples are drawn it is 2e-3 (4.5 %). Of the broken samplers below, the one that reuses the draft's noise is
# 4e-3 away, the one that evicts rows 3e-2, the wrong rules 6e-2 and more, and the one that keeps the tail 12.
ALPHA = 1e-3
FEWER, BROKEN = 50_000, 20_000  # for what shows with fewer


@pytest.fixture(scope="module")
def toy(lookup_models):
    """Policy and expert over t0 … t3 and <eos> (4), whose distributions depend on the place and on the last token."""
    generator = torch.Generator().manual_seed(3)
    return lookup_models(*(torch.randn(3, 5, 5, generator=generator) * 1.2 for _ in range(2)))


def shaped(logits, temperature=1.0, top_k=0, top_p=1.0):
    """Temperature and filters one token at a time, in float64: V logits -> V probabilities."""
    p = (logits.detach().double() / temperature).softmax(-1)
    ranked = sorted(range(len(p)), key=lambda token: -p[token])[: top_k or None]
    total, mass, kept = sum(float(p[token]) for token in ranked), 0.0, []
    for token in ranked:
        if mass < top_p * total:
            kept.append(token)
        mass += float(p[token])
    chosen = torch.zeros_like(p)
    chosen[kept] = p[kept]
    return chosen / chosen.sum()


def joint(toy, weight, **shape):
    """Probability of every response of up to 3 tokens under autoregressive sampling from π_mix, [125]."""
    probabilities = torch.zeros(5, 5, 5, dtype=torch.float64)

    def extend(response, probability):
        if len(response) == 3 or END in response:
            padded = (*response, 0, 0)[:3]
            probabilities[padded] += probability
            return
        place, last = len(response), response[-1] if response else 0  # the prompt is the token 0
        p, q = (shaped(model.table[place, last], **shape) for model in (toy.policy, toy.expert))
        w = weight(float(torch.special.entr(p).sum()))
        for token, chance in enumerate(((1 - w) * p + w * q).tolist()):
            extend((*response, token), probability * chance)

    extend((), 1.0)
    assert float(probabilities.sum()) == pytest.approx(1)
    return probabilities.flatten()


def entropy_weight(h):
    return min(1.0, h / GAMMA)


@pytest.fixture(scope="module")
def mixture(toy):
    """The toy's joint distribution under the entropy gate; its weights lie between 0 and 1 and vary."""
    weights = [
        entropy_weight(float(torch.special.entr(shaped(row)).sum())) for row in toy.policy.table[:, :4].flatten(0, 1)
    ]
    assert min(weights) > 0.1
    assert max(weights) < 1
    assert max(weights) - min(weights) > 0.3
    probabilities = joint(toy, entropy_weight)
    assert int((probabilities > 0).sum()) == 1 + 4 + 16 * 5
    return probabilities


@pytest.fixture(scope="module")
def counts_of(toy, keys, sample):
    """(sampler, number of samples, gate, options) -> how often every response came, [125]."""

    def count(sampler, n, gate, **shape):
        counts = torch.zeros(125, dtype=torch.int64)
        size = min(n, PER_CALL)
        for call in range(n // size):
            draws = SamplingParams(max_new_tokens=3, **shape)
            ids = sample(sampler, toy, [[0]] * size, keys(size, step=call), draws, gate).ids
            counts += torch.bincount((ids * torch.tensor([25, 5, 1])).sum(-1), minlength=125)
        return counts

    return count


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_three_tokens_are_jointly_distributed_as_autoregressive_sampling_from_the_mixture(
    sampler, counts_of, mixture, gate_of, chi_square
):
    assert chi_square(counts_of(sampler(), 1_000_000, gate_of(GAMMA)), mixture) > ALPHA


@pytest.mark.parametrize(
    "shape",
    [{"temperature": 0.6}, {"top_k": 2}, {"top_p": 0.7}, {"temperature": 1.5, "top_k": 4, "top_p": 0.8}],
    ids=str,
)
@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_temperature_and_filters_shape_each_model_before_they_are_mixed(
    sampler, shape, toy, counts_of, gate_of, chi_square
):
    got = counts_of(sampler(), FEWER, gate_of(GAMMA), **shape)
    assert chi_square(got, joint(toy, entropy_weight, **shape)) > ALPHA
    assert chi_square(got, joint(toy, entropy_weight)) < 1e-9


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_weight_one_is_the_expert_alone_and_no_gate_the_policy_alone(sampler, toy, counts_of, chi_square):
    assert chi_square(counts_of(sampler(), FEWER, ConstantGate(1.0)), joint(toy, lambda _: 1.0)) > ALPHA
    assert chi_square(counts_of(sampler(), FEWER, None), joint(toy, lambda _: 0.0)) > ALPHA


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_gamma_zero_is_the_expert_alone_wherever_the_policy_is_not_certain(
    sampler, toy, counts_of, gate_of, chi_square
):
    assert chi_square(counts_of(sampler(), FEWER, gate_of(0.0)), joint(toy, lambda _: 1.0)) > ALPHA


# What a wrong rule makes of (the right rule, log π_θ, log π*, draft, w, coin)
def residual_from_the_expert(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, weights, coin)[0], expert.exp()


def coin_ignored(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, torch.ones_like(weights), coin)


def coin_counted_twice(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, weights.square(), coin)


def gate_read_from_the_expert(rule, policy, expert, draft, weights, coin):
    return rule(policy, expert, draft, (entropy(expert) / GAMMA).clamp(0, 1), coin)


def nothing_ever_rejected(rule, policy, expert, draft, weights, coin):
    return torch.zeros_like(draft, dtype=torch.bool), expert.exp()


RULES = [residual_from_the_expert, coin_ignored, coin_counted_twice, gate_read_from_the_expert, nothing_ever_rejected]


@pytest.mark.parametrize("wrong", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_the_joint_test_catches_a_wrong_rule(sampler, wrong, counts_of, mixture, gate_of, chi_square):
    broken = sampler()
    right = broken.guidance(GatedMixture(gate_of(GAMMA)))
    broken.guidance = lambda blend: replace(right, rule=lambda *columns: wrong(right.rule, *columns))
    assert chi_square(counts_of(broken, BROKEN, gate_of(GAMMA)), mixture) < 1e-9


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_the_joint_test_catches_the_drafts_noise_drawn_again_for_the_residual(
    sampler, counts_of, mixture, gate_of, chi_square, monkeypatch
):
    monkeypatch.setattr(verify, "RESIDUAL", DRAFT)
    assert chi_square(counts_of(sampler(), FEWER, gate_of(GAMMA)), mixture) < 1e-9


@pytest.mark.parametrize("decision", ["exponential", "uniform"])
@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_the_joint_test_catches_noise_that_is_the_same_at_every_position(
    sampler, decision, counts_of, mixture, gate_of, chi_square, monkeypatch
):
    both, one = draft.draft_and_coin, getattr(verify, decision)

    def of_drafts(k, at, size):
        places = [torch.zeros_like(at) if decision == broken else at for broken in ("exponential", "uniform")]
        return both(k, places[0], size)[0], both(k, places[1], size)[1]

    monkeypatch.setattr(draft, "draft_and_coin", of_drafts)
    monkeypatch.setattr(verify, decision, lambda k, at, *rest: one(k, torch.zeros_like(at), *rest))
    assert chi_square(counts_of(sampler(), BROKEN, gate_of(GAMMA)), mixture) < 1e-9


def open_again(verifier, table, slots):
    """Let drafts of `slots` behind what is verified wait for the expert again."""
    for slot in slots.tolist():
        behind = slice(int(table.verified[slot]), int(table.place[slot]))
        guided = verifier.drafts.buffers.guided[table.rollout[slot], behind]
        table.pending[slot] = len(guided) if verifier.guidance.every else int(guided.sum())
        verifier.drafts.pending[slot] = table.pending[slot]


def tail_kept(right, verifier, table):
    """The drafts behind a replaced one stay, though they were drawn for another token."""
    drafts, before = verifier.drafts, [table.place.clone(), table.drafting.clone(), verifier.drafts.token.clone()]
    result = right(verifier, table)
    cut = (table.place < before[0]).nonzero().squeeze(1)
    for column, value in zip((table.place, table.drafting, drafts.token), before, strict=True):
        column[cut] = value[cut]
    drafts.place[cut], drafts.drafting[cut] = table.place[cut], table.drafting[cut].bool()
    open_again(verifier, table, cut)
    return result


def evicted(redraw):
    """A row that waits for the expert is evicted once, and what it had not settled is drafted anew on other noise."""

    def call(right, verifier, table):
        drafts = verifier.drafts
        if not hasattr(verifier, "patient"):
            verifier.patient = torch.ones(drafts.idle_row, dtype=torch.bool)
        slots = (table.pending[: table.used] > 0).nonzero().squeeze(1)
        slots = slots[verifier.patient[table.rollout[slots]]]
        rollouts, kept = table.rollout[slots], table.verified[slots]
        verifier.patient[rollouts] = False
        drafts.keys[rollouts] += redraw
        drafts.token[slots] = drafts.buffers.context[rollouts, kept]
        for column in (table, drafts):
            column.place[slots], column.pending[slots], column.drafting[slots] = kept, 0, 1
        if not (table.pending[: table.used] > 0).any():
            return CallResult(0, 0, 0, 0, 0, 0)
        return right(verifier, table)

    return call


DRAFTERS = {"coin": TOY_SAMPLERS["coin"], "algorithm1": TOY_SAMPLERS["algorithm1"]}


def with_verifier(monkeypatch, wrong):
    right = Verifier.__call__
    monkeypatch.setattr(Verifier, "__call__", lambda verifier, table: wrong(right, verifier, table))


@pytest.mark.parametrize("sampler", DRAFTERS.values(), ids=DRAFTERS)
def test_the_joint_test_catches_a_tail_that_is_kept_behind_a_replaced_draft(
    sampler, counts_of, mixture, gate_of, chi_square, monkeypatch
):
    with_verifier(monkeypatch, tail_kept)
    assert chi_square(counts_of(sampler(), BROKEN, gate_of(GAMMA)), mixture) < 1e-9


def test_the_joint_test_catches_rows_that_are_evicted_while_they_wait_and_drawn_anew(
    counts_of, mixture, gate_of, chi_square, monkeypatch
):
    coin = TOY_SAMPLERS["coin"]
    right = counts_of(coin(), BROKEN, gate_of(GAMMA))
    with monkeypatch.context() as patch:
        with_verifier(patch, evicted(redraw=0))  # on their own noise they say the same again
        assert torch.equal(counts_of(coin(), BROKEN, gate_of(GAMMA)), right)
    with_verifier(monkeypatch, evicted(redraw=1))
    assert chi_square(counts_of(coin(), BROKEN, gate_of(GAMMA)), mixture) < 1e-9


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
def test_guided_and_replaced_shares_are_the_gates_and_the_total_variation(sampler, toy, keys, sample, gate_of):
    n = FEWER
    samples = sample(sampler(), toy, [[0]] * n, keys(n), SamplingParams(max_new_tokens=1), gate_of(GAMMA))
    policy, expert = (shaped(model.table[0, 0]) for model in (toy.policy, toy.expert))
    w, distance = entropy_weight(float(torch.special.entr(policy).sum())), float((policy - expert).abs().sum()) / 2
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
            p = shaped(toy.policy.table[place, last])
            h = float(torch.special.entr(p).sum())
            assert samples.logprobs[row, place].item() == pytest.approx(float(p[token].log()), abs=1e-5)
            assert samples.entropies[row, place].item() == pytest.approx(h, abs=1e-5)
            assert samples.gate_weights[row, place].item() == pytest.approx(h / GAMMA, abs=1e-5)
            last = token
        for column in (samples.ids, samples.logprobs, samples.entropies, samples.gate_weights):
            assert not column[row, length:].any()  # nothing is left of what was drafted behind the stop token
        assert not (samples.guided | samples.replaced)[row, length:].any()


# ---------------------------------------------------------------- one noise, one rollout

TEXTS = (
    "find the value of x",
    "we try",
    "wait , let us verify the product and the sum of 3 and 4",
    "the answer is",
    "<think> if x = 2 then",
)
FAMILIES = ["qwen2", "llama", "qwen3", "sliding"]
LIMIT = SamplingParams(max_new_tokens=32)
SAMPLERS = {
    "coin, K = 1": lambda: Coin(FixedK(1)),
    "coin, K = 3": lambda: Coin(FixedK(3)),
    "coin, K = 8": lambda: Coin(FixedK(8)),
    "coin, K from costs": lambda: Coin(),
    "coin, any flag": lambda: Coin(AnyFlag()),
    "coin, marginal value": lambda: Coin(MarginalValue()),
    "coin, 3 rows, K = 4": lambda: Coin(FixedK(4), rows=3),
    "algorithm1, K = 1": lambda: Algorithm1(1),
    "algorithm1, K = 4": lambda: Algorithm1(4),
    "algorithm1, K = 8": lambda: Algorithm1(8),
    "naive": lambda: Naive(),
}


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, family):
    """Policy and expert of one family."""
    return family(request.param)


@pytest.fixture(scope="module")
def rollouts(pair, keys):
    """8 rollouts to each of 5 prompts, of different lengths: prompts [40], keys [40]."""
    prompts = [pair.tokenizer(text)["input_ids"] for text in TEXTS for _ in range(8)]
    assert len({len(prompt) for prompt in prompts}) >= 4
    return prompts, keys(len(prompts))


def replayed(models, prompts, keys, sampling, gamma):
    """Rollouts from scratch: plain forwards over whole sequences, one position after the other, and in float64 the rule
    as Algorithm 1 prints it, on the keyed noise. Row -> lists of ids, guided, replaced, logprobs."""
    size, out = models.vocabulary.size, [([], [], [], []) for _ in prompts]
    for length in sorted({len(prompt) for prompt in prompts}):  # rows of one length need no padding
        rows = [row for row, prompt in enumerate(prompts) if len(prompt) == length]
        for position in range(sampling.max_new_tokens):
            if not rows:
                break
            sequences = torch.tensor([list(prompts[row]) + out[row][0] for row in rows])
            p, q = (
                model(input_ids=sequences, use_cache=False).logits[:, -1, :size].double().softmax(-1)
                for model in (models.policy, models.expert)
            )
            at = torch.full((len(rows),), position)
            key = keys[rows]
            race, again = (exponential(key, at, stream, size).double() for stream in (DRAFT, RESIDUAL))
            draft = (race / p).argmin(-1)
            w = (torch.special.entr(p).sum(-1) / gamma).clamp(max=1)
            coin = uniform(key, at, COIN).double()
            mix = (1 - w[:, None]) * p + w[:, None] * q
            acceptance = (mix / p).gather(1, draft[:, None]).squeeze(1).clamp(max=1)
            rejected = coin <= 1 - acceptance
            token = torch.where(rejected, (again / (mix - p).clamp(min=0)).argmin(-1), draft)
            logp = p.gather(1, token[:, None]).squeeze(1).log()
            for row, *values in zip(rows, token, coin <= w, rejected, logp, strict=True):
                for column, value in zip(out[row], values, strict=True):
                    column.append(value.item())
            rows = [row for row in rows if out[row][0][-1] not in models.vocabulary.stop_ids]
    return out


# One guided token in three and one replaced in five, so that drafts are kept as well as dropped.
LOOSE = 13.0


@pytest.fixture(scope="module")
def replay(pair, rollouts):
    with torch.no_grad():
        return replayed(pair, *rollouts, LIMIT, LOOSE)


@pytest.mark.parametrize("sampler", SAMPLERS.values(), ids=SAMPLERS)
def test_every_sampler_and_schedule_gives_the_rollouts_of_a_replay_from_scratch(
    sampler, pair, rollouts, replay, sample, gate_of
):
    # 0 of some 3,300 tokens differ, over four families; none of them is so near a tie that rounding could turn it
    samples = sample(sampler(), pair, *rollouts, LIMIT, gate_of(LOOSE))
    assert sum(len(ids) for ids, *_ in replay) > 600
    assert samples.lengths.tolist() == [len(ids) for ids, *_ in replay]
    for row, (ids, guided, replaced, logprobs) in enumerate(replay):
        n = len(ids)
        assert samples.ids[row, :n].tolist() == ids
        assert samples.guided[row, :n].tolist() == guided
        assert samples.replaced[row, :n].tolist() == replaced
        assert samples.logprobs[row, :n].tolist() == pytest.approx(logprobs, abs=1e-4)
        assert samples.truncated[row].item() == (ids[-1] not in pair.vocabulary.stop_ids)
    assert 0.2 < samples.guided.sum() / samples.lengths.sum() < 0.5
    assert 0.1 < samples.replaced.sum() / samples.lengths.sum() < 0.4


def test_other_keys_give_other_rollouts(pair, rollouts, keys, sample):
    prompts, key = rollouts
    one, other = (sample(Coin(), pair, prompts, k, LIMIT) for k in (key, keys(len(prompts), seed=12)))
    assert not torch.equal(one.ids[:, 0], other.ids[:, 0])


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
        )
    assert torch.allclose(logprobs, samples.logprobs, atol=1e-4)
    assert torch.allclose(entropies, samples.entropies, atol=1e-4)


# ---------------------------------------------------------------- the ends of the gate

INFINITE = {"γ = ∞": EntropyGate(), "w = 0": ConstantGate(0.0)}  # an entropy gate that has observed nothing


@pytest.fixture(scope="module")
def alone(pair, rollouts, sample):
    """A quarter of the rollouts, on-policy, 4 rows at a time; and what they were made from."""
    prompts, key = rollouts[0][::4], rollouts[1][::4]
    return sample(Coin(rows=4), pair, prompts, key, LIMIT), prompts, key


@pytest.mark.parametrize("gate", INFINITE.values(), ids=INFINITE)
def test_without_weight_the_coin_gives_the_on_policy_rollouts_bit_for_bit_and_never_calls_the_expert(
    gate, pair, alone, sample
):
    expected, prompts, key = alone
    mixed = sample(Coin(FixedK(4), rows=4), pair, prompts, key, LIMIT, gate)
    for name, values in vars(expected).items():
        if isinstance(values, torch.Tensor):
            assert torch.equal(values, getattr(mixed, name)), name
    assert not mixed.guided.any()
    assert not mixed.gate_weights.any()
    assert (mixed.stats.expert_calls, mixed.stats.expert_tokens, mixed.stats.rolled_back) == (0, 0, 0)


@pytest.mark.parametrize("sampler", [Algorithm1, Naive])
def test_without_weight_the_expert_may_be_read_but_changes_nothing(sampler, pair, alone, sample, equal_samples):
    expected, prompts, key = alone
    mixed = sample(sampler(rows=4), pair, prompts, key, LIMIT, ConstantGate(0.0))
    equal_samples(expected, mixed)
    assert not mixed.guided.any()


@pytest.mark.parametrize("sampler", [Coin, Algorithm1, Naive])
def test_an_expert_equal_to_the_policy_replaces_nothing(sampler, pair, alone, sample):
    expected, prompts, key = alone
    twins = Models(pair.policy, pair.policy, pair.tokenizer, pair.vocabulary)
    mixed = sample(sampler(), twins, prompts, key, LIMIT, ConstantGate(0.7))
    assert torch.equal(expected.ids, mixed.ids)
    assert float(mixed.guided.sum() / mixed.lengths.sum()) == pytest.approx(0.7, abs=0.15)
    assert not mixed.replaced.any()


# ---------------------------------------------------------------- greedy, filters, padded vocabularies


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
    prompt = pair.tokenizer(TEXTS[0])["input_ids"]
    with torch.no_grad():
        logits = pair.policy(torch.tensor([prompt])).logits[0, -1, : pair.vocabulary.size]
    samples = sample(Coin(), pair, [prompt] * 500, keys(500), SamplingParams(top_k=3, max_new_tokens=1))
    assert set(samples.ids.flatten().tolist()) == set(logits.topk(3).indices.tolist())


@pytest.mark.parametrize("sampler", TOY_SAMPLERS.values(), ids=TOY_SAMPLERS)
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


# ---------------------------------------------------------------- misuse


SAMPLER_TYPES = [Coin, Algorithm1, Naive]


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
def test_a_gate_without_an_expert_is_a_usage_error(sampler, lookup_models, keys, sample):
    with pytest.raises(UsageError, match=r"need an expert: set model.expert, or data.group.mixed to 0"):
        sample(sampler(), lookup_models(torch.zeros(1, 5, 5)), [[0]], keys(1), LIMIT, ConstantGate(0.5))


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
def test_a_gate_at_temperature_zero_is_a_usage_error(sampler, toy, keys, sample):
    with pytest.raises(UsageError, match="are draws: give a temperature above 0"):
        sample(sampler(), toy, [[0]], keys(1), SamplingParams(temperature=0.0), ConstantGate(0.5))


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
def test_fewer_than_one_row_or_place_is_a_usage_error(sampler):
    with pytest.raises(UsageError, match="rows is 0"):
        sampler(rows=0)
    with pytest.raises(UsageError, match="cache_tokens is 0"):
        sampler(cache_tokens=0)


@pytest.mark.parametrize("sampler", SAMPLER_TYPES)
@pytest.mark.parametrize("gate", [None, ConstantGate(0.5)], ids=["on-policy", "mixed"])
def test_no_prompts_give_no_rollouts(gate, sampler, toy, keys, sample):
    samples = sample(sampler(), toy, [], keys(0), LIMIT, gate)
    assert samples.ids.shape == (0, 0)
    assert samples.lengths.shape == samples.truncated.shape == (0,)


def test_algorithm1_without_drafts_is_a_usage_error():
    with pytest.raises(UsageError, match="k is 0, but it counts draft steps: give at least 1"):
        Algorithm1(0)
