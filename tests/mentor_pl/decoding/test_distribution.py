"""One token: distributions by hand, draws by frequency."""

import math

import pytest
import torch

from mentor_pl.decoding.distribution import draw, entropy, log_distribution
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.noise import DRAFT, exponential, rollout_keys

ALPHA = 1e-4  # of each statistical test, on fixed keys
N = 200_000
PROBABILITIES = (0.4, 0.3, 0.2, 0.1)


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


def races(stream, seed=5):
    rows = torch.arange(N)
    return exponential(rollout_keys(seed, 0, rows, rows * 0), rows * 0, stream, 4)


def test_draws_have_the_frequencies_of_the_distribution(chi_square):
    p = torch.tensor(PROBABILITIES)
    got = draw(p.expand(N, -1), races(DRAFT))
    # Power: 3 degrees of freedom at N = 2e5 catch an error of .008 in any one probability with probability .99
    assert chi_square(torch.bincount(got, minlength=4), p) > ALPHA
