"""The weight by divergence, with numbers worked out by hand."""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import Scored
from mentor_pl.algorithms.parts.kl_gate import KLGate
from mentor_pl.runtime.errors import UsageError


def test_the_weight_is_the_divergence_over_kappa_capped_at_one():
    divergences = torch.tensor([0.0, 0.5, 2.0, 5.0, torch.inf])
    any_ = torch.zeros(5)
    scored = Scored(any_, any_.long(), any_.long(), any_[:, None], any_[:, None], any_, divergences)
    assert KLGate(2.0)(scored).tolist() == [0.0, 0.25, 1.0, 1.0, 1.0]
    assert KLGate.needs_expert


def test_kappa_is_positive():
    with pytest.raises(UsageError, match="kappa is 0"):
        KLGate(0)
