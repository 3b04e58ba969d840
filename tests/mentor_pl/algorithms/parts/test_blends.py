"""Both rules of the gated mixture against Algorithm 1's own numbers."""

import pytest
import torch

from mentor_pl.algorithms.parts.blends import GatedMixture
from mentor_pl.algorithms.parts.gates import ConstantGate, Drafted
from mentor_pl.decoding.distribution import draw
from mentor_pl.runtime.noise import COIN, DRAFT, RESIDUAL, exponential, rollout_keys, uniform

ALPHA = 1e-4  # of each statistical test, on fixed keys
N = 200_000
MIXTURE = GatedMixture(ConstantGate())  # its rules take w as an argument
RULES = [MIXTURE.settle, MIXTURE.accept]


def applied(rule, policy, expert, draft, weights, coin, noise):
    """What a rule makes of drafts: ids and whether they are replaced."""
    replaced, residual = rule(policy, expert, draft, weights, coin)
    return torch.where(replaced, draw(residual, noise), draft), replaced


def coins(seed=5):
    rows = torch.arange(N)
    return uniform(rollout_keys(seed, 0, rows, rows * 0), rows * 0, COIN)


def races(stream, seed=5):
    rows = torch.arange(N)
    return exponential(rollout_keys(seed, 0, rows, rows * 0), rows * 0, stream, 4)


# π_θ, π* and w of one position: π_mix = .4·π_θ + .6·π*
POLICY, EXPERT, W = torch.tensor([0.5, 0.3, 0.15, 0.05]), torch.tensor([0.1, 0.3, 0.2, 0.4]), 0.6


@pytest.fixture(scope="module", params=RULES)
def decided(request):
    """N drafts, whether they are guided, and what the rule makes of them: ids and whether they are replaced."""
    draft, coin = draw(POLICY.expand(N, -1), races(DRAFT)), coins()
    policy, expert = POLICY.log().expand(N, -1), EXPERT.log().expand(N, -1)
    return draft, coin <= W, *applied(request.param, policy, expert, draft, torch.full((N,), W), coin, races(RESIDUAL))


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
    one, other = (applied(rule, policy, expert, draft, w, coin, exponential(k, k * 0, RESIDUAL, 50)) for rule in RULES)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert 500 < one[1].sum() < 3_500


def one(rule, policy, expert, draft, weight, coin, noise=(1.0, 1.0, 1.0)):
    columns = applied(
        rule,
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
    ids, replaced = applied(rule, policy, expert, torch.tensor([0]), torch.tensor([weight]), coin, noise)
    assert (ids.item(), replaced.item()) == (0, False)


def test_the_mixture_is_the_weighted_sum_and_its_weights_are_the_gates():
    blend = GatedMixture(ConstantGate(0.25))
    assert blend.weights(Drafted(torch.tensor([0.0, 3.0]), torch.arange(2), torch.arange(2))).tolist() == [0.25, 0.25]
    got = blend.mixture(torch.tensor([[0.8, 0.2]]), torch.tensor([[0.0, 1.0]]), torch.tensor([0.25]))
    assert got.tolist() == [[pytest.approx(0.6), pytest.approx(0.4)]]  # ¾ · .8, ¾ · .2 + ¼
