"""One token: distributions by hand, draws by frequency, and both rules against Algorithm 1's own numbers."""

import math

import pytest
import torch

from mentor_pl.decoding.distribution import draw, entropy, log_distribution
from mentor_pl.decoding.engine.guidance import accept_or_redraw, settle_guided
from mentor_pl.decoding.noise import COIN, DRAFT, RESIDUAL, exponential, rollout_keys, uniform
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.errors import UsageError

ALPHA = 1e-4  # of each statistical test, on fixed keys
N = 200_000
PROBABILITIES = (0.4, 0.3, 0.2, 0.1)
RULES = [settle_guided, accept_or_redraw]


def distribution(vocab_size=4, **options):
    logits = torch.tensor([PROBABILITIES]).log()
    return log_distribution(logits, SamplingParams(**options), vocab_size).exp()[0].tolist()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0.4, 0.3, 0.2, 0.1]),
        ({"temperature": 0.5}, [16 / 30, 9 / 30, 4 / 30, 1 / 30]),  # squares .16 .09 .04 .01, together .30
        ({"top_k": 2}, [4 / 7, 3 / 7, 0, 0]),
        ({"top_k": 1}, [1, 0, 0, 0]),
        ({"top_k": 4}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_k": 9}, [0.4, 0.3, 0.2, 0.1]),
        ({"top_p": 0.6}, [4 / 7, 3 / 7, 0, 0]),  # .4 is not enough, .4 + .3 is
        ({"top_p": 0.75}, [4 / 9, 3 / 9, 2 / 9, 0]),
        ({"top_p": 0.05}, [1, 0, 0, 0]),  # the likeliest token always stays
        ({"top_p": 0.5, "temperature": 0.5}, [1, 0, 0, 0]),  # filters see the tempered 16/30; untempered keeps two
        ({"top_k": 3, "top_p": 0.75}, [4 / 7, 3 / 7, 0, 0]),  # of the three's 4/9, 3/9, 2/9 two hold 7/9
        ({"temperature": 0.0}, [0.4, 0.3, 0.2, 0.1]),  # greedy reports the untempered distribution
        ({"vocab_size": 3}, [4 / 9, 3 / 9, 2 / 9]),
        ({"vocab_size": 3, "top_k": 2}, [4 / 7, 3 / 7, 0]),
    ],
    ids=str,
)
def test_log_distribution_by_hand(options, expected):
    assert distribution(**options) == pytest.approx(expected, abs=1e-6)


def test_padded_ids_have_no_part_in_any_filter():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1, 1000.0]]).log()  # the padding's logit is the greatest
    for options, expected in [({}, [0.4, 0.3, 0.2, 0.1]), ({"top_k": 1}, [1, 0, 0, 0]), ({"top_p": 0.3}, [1, 0, 0, 0])]:
        got = log_distribution(logits, SamplingParams(**options), 4).exp()[0].tolist()
        assert got == pytest.approx(expected, abs=1e-6)


def test_filters_find_the_likeliest_tokens_in_any_order_and_row_by_row():
    logits = torch.tensor([[0.1, 0.4, 0.2, 0.3], [0.3, 0.2, 0.4, 0.1]]).log()
    for options in ({"top_k": 2}, {"top_p": 0.6}):
        got = log_distribution(logits, SamplingParams(**options), 4).exp()
        assert got[0].tolist() == pytest.approx([0, 4 / 7, 0, 3 / 7], abs=1e-6)
        assert got[1].tolist() == pytest.approx([3 / 7, 0, 4 / 7, 0], abs=1e-6)


def test_distributions_are_computed_in_float32_whatever_the_logits_are():
    assert log_distribution(torch.zeros(1, 4, dtype=torch.bfloat16), SamplingParams(), 4).dtype == torch.float32


def test_entropy_in_nats_by_hand():
    rows = torch.tensor([[0.25] * 4, [0.5, 0.25, 0.25, 0.0], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]).log()
    # ½ ln 2 + ½ ln 4 = 1.5 ln 2
    assert entropy(rows).tolist() == pytest.approx([math.log(4), 1.5 * math.log(2), 0.0, math.log(2)], abs=1e-6)


def test_draw_is_the_exponential_race():
    weights = torch.tensor([[0.5, 0.25, 0.25], [2.0, 1.0, 1.0], [1.0, 0.0, 0.0]])  # they need not sum to 1
    noise = torch.tensor([[1.0, 0.4, 0.6], [0.5, 0.4, 0.6], [9.0, 1e-9, 1e-9]])
    # times E/p: 2, 1.6, 2.4; then .25, .4, .6; what is impossible never arrives
    assert draw(weights, noise).tolist() == [1, 0, 0]


def coins(seed=5):
    rows = torch.arange(N)
    return uniform(rollout_keys(seed, 0, rows, rows * 0), rows * 0, COIN)


def races(stream, seed=5):
    rows = torch.arange(N)
    return exponential(rollout_keys(seed, 0, rows, rows * 0), rows * 0, stream, 4)


def test_draws_have_the_frequencies_of_the_distribution(chi_square):
    p = torch.tensor(PROBABILITIES)
    got = draw(p.expand(N, -1), races(DRAFT))
    # Power: 3 degrees of freedom at N = 2e5 catch an error of .008 in any one probability with probability .99
    assert chi_square(torch.bincount(got, minlength=4), p) > ALPHA


# π_θ, π* and w of one position: π_mix = .4·π_θ + .6·π*
POLICY, EXPERT, W = torch.tensor([0.5, 0.3, 0.15, 0.05]), torch.tensor([0.1, 0.3, 0.2, 0.4]), 0.6


@pytest.fixture(scope="module", params=RULES)
def decided(request):
    """N drafts, whether they are guided, and what the rule makes of them: ids and whether they are replaced."""
    draft, coin = draw(POLICY.expand(N, -1), races(DRAFT)), coins()
    policy, expert = POLICY.log().expand(N, -1), EXPERT.log().expand(N, -1)
    return draft, coin <= W, *request.param(policy, expert, draft, torch.full((N,), W), coin, races(RESIDUAL))


def test_both_rules_draw_from_the_mixture(decided, chi_square):
    _, _, ids, _ = decided
    # .4·.5 + .6·.1 = .26; .3; .4·.15 + .6·.2 = .18; .4·.05 + .6·.4 = .26
    assert chi_square(torch.bincount(ids, minlength=4), torch.tensor([0.26, 0.30, 0.18, 0.26])) > ALPHA


def test_guided_tokens_are_draws_from_the_expert_and_the_others_from_the_policy(decided, chi_square):
    _, guided, ids, _ = decided
    assert chi_square(torch.bincount(ids[guided], minlength=4), EXPERT) > ALPHA
    assert chi_square(torch.bincount(ids[~guided], minlength=4), POLICY) > ALPHA
    assert chi_square(torch.stack([guided.sum(), (~guided).sum()]), torch.tensor([W, 1 - W])) > ALPHA


def test_draft_and_token_have_algorithm_1s_joint_law(decided, chi_square):
    draft, _, ids, replaced = decided
    # Only the draft 0 is dropped: π_θ .5 > π* .1, kept with 1 − .6·(1 − .2) = .52. The residual π* − π_θ is positive at
    # 2 (.05) and 3 (.35), so of the .24 that is dropped an eighth goes to 2. Drop rate w·TV = .6 · .4 = .24.
    joint = torch.diag(POLICY.clone())
    joint[0] = torch.tensor([0.26, 0.0, 0.03, 0.21])
    assert chi_square(torch.bincount(draft * 4 + ids, minlength=16), joint) > ALPHA
    assert replaced.float().mean().item() == pytest.approx(0.24, abs=0.004)  # four standard errors


def test_replaced_means_differs_from_the_draft_and_implies_guided(decided):
    draft, guided, ids, replaced = decided
    assert torch.equal(replaced, ids != draft)
    assert not (replaced & ~guided).any()


def test_on_one_noise_both_rules_come_to_the_same():
    # 4,000 pairs of distributions over 50 ids; no decision among them is a near tie
    generator = torch.Generator().manual_seed(0)
    policy, expert = ((torch.randn(4_000, 50, generator=generator) * 2).log_softmax(-1) for _ in range(2))
    k = torch.arange(4_000)
    draft, w, coin = (
        draw(policy.exp(), exponential(k, k * 0, DRAFT, 50)),
        torch.rand(4_000, generator=generator),
        uniform(k, k * 0, COIN),
    )
    one, other = (rule(policy, expert, draft, w, coin, exponential(k, k * 0, RESIDUAL, 50)) for rule in RULES)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert 500 < one[1].sum() < 3_500


def one(rule, policy, expert, draft, weight, coin, noise=(1.0, 1.0, 1.0)):
    columns = rule(
        torch.tensor([policy]).log(),
        torch.tensor([expert]).log(),
        torch.tensor([draft]),
        torch.tensor([weight]),
        torch.tensor([coin]),
        torch.tensor([noise]),
    )
    return tuple(column.item() for column in columns)


@pytest.mark.parametrize(
    ("weight", "coin", "expected"),
    [
        # draft 0 with π_θ ½ and π* ¼: dropped where the coin is at most w/2
        (0.5, 0.24, (1, True)),
        (0.5, 0.25, (1, True)),
        (0.5, 0.26, (0, False)),
        (0.5, 0.51, (0, False)),
        (1.0, 0.50, (1, True)),
        (1.0, 0.51, (0, False)),
        (0.0, 2.0**-33, (0, False)),  # w = 0: not even the least coin drops it
    ],
)
@pytest.mark.parametrize("rule", RULES)
def test_a_draft_is_dropped_below_the_gates_share_of_what_the_expert_likes_less(rule, weight, coin, expected):
    # the residual is ¼ at token 1 alone
    assert one(rule, [0.5, 0.25, 0.25], [0.25, 0.5, 0.25], 0, weight, coin) == expected


@pytest.mark.parametrize("rule", RULES)
def test_a_draft_that_the_expert_likes_as_much_or_more_always_stands(rule):
    for draft in (1, 2):
        assert one(rule, [0.5, 0.25, 0.25], [0.25, 0.5, 0.25], draft, 1.0, 2.0**-33) == (draft, False)


@pytest.mark.parametrize("rule", RULES)
def test_the_residual_is_drawn_by_its_own_noise(rule):
    policy, expert = [0.5, 0.25, 0.25], [0.0, 0.5, 0.5]
    assert one(rule, policy, expert, 0, 1.0, 0.5, noise=(1e-9, 0.3, 0.2))[0] == 2
    assert one(rule, policy, expert, 0, 1.0, 0.5, noise=(1e-9, 0.2, 0.3))[0] == 1


@pytest.mark.parametrize("rule", RULES)
def test_a_draft_that_is_impossible_to_the_expert_is_always_replaced_under_full_weight(rule):
    assert one(rule, [0.5, 0.5, 0.0], [0.0, 0.5, 0.5], 0, 1.0, 1.0) == (2, True)


@pytest.mark.parametrize("weight", [1.0, 0.3])
@pytest.mark.parametrize("rule", RULES)
def test_rounding_between_equal_models_replaces_nothing(rule, weight):
    policy = torch.tensor([[0.5, 0.3, 0.2]]).log()
    noise, coin = torch.ones(1, 3), torch.full((1,), 2.0**-33)
    expert = policy + torch.tensor([[-1e-7, 1e-7, 1e-7]])  # the residual is positive, but no more than rounding
    ids, replaced = rule(policy, expert, torch.tensor([0]), torch.tensor([weight]), coin, noise)
    assert (ids.item(), replaced.item()) == (0, False)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"max_new_tokens": 0},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_a_usage_error_that_names_it(options):
    ((name, value),) = options.items()
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        SamplingParams(**options)
