"""The weight by expected gain, with numbers worked out by hand."""

import math

import pytest
import torch

from mentor_pl.algorithms.parts.expected_gain_gate import ExpectedGainGate
from mentor_pl.algorithms.parts.gates import Scored
from mentor_pl.runtime.errors import UsageError


def weight(policy, expert, kappa=1.0):
    zero, place = torch.zeros(1), torch.zeros(1, dtype=torch.int64)
    logs = (torch.tensor([row]).log() for row in (policy, expert))
    return ExpectedGainGate(kappa)(Scored(zero, place, place, *logs, zero, zero)).item()


@pytest.mark.parametrize(
    ("policy", "expert", "gain"),
    [
        ([0.5, 0.5], [0.8, 0.2], 0.3 * math.log(4)),  # .3·log .8 − .3·log .2
        ([0.5, 0.5], [0.5, 0.5], 0.0),
        ([0.3, 0.7], [0.6, 0.4], 0.3 * math.log(1.5)),
        ([1.0, 0.0], [0.6, 0.4], 0.0),  # −.4·log .6 + .4·log .4 < 0: sure of the expert's first choice
        ([0.0, 1.0], [0.0, 1.0], 0.0),  # 0·log 0 is 0
        ([0.5, 0.5], [1.0, 0.0], math.inf),  # what the expert never says
    ],
)
def test_the_weight_is_the_gain_over_kappa_and_none_where_there_is_none(policy, expert, gain):
    assert weight(policy, expert, kappa=0.9) == pytest.approx(min(1, gain / 0.9), abs=1e-6)


def test_it_is_capped_at_one_and_needs_the_expert():
    assert weight([0.5, 0.5], [0.8, 0.2], kappa=0.4) == 1.0  # .416
    assert ExpectedGainGate.needs_expert


def test_kappa_is_positive():
    with pytest.raises(UsageError, match="kappa is 0"):
        ExpectedGainGate(0)
