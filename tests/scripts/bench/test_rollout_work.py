"""The benchmark's gate has the mean weight that a figure speaks of."""

import pytest
import torch
from rollout_work import gate_at

from mentor_pl.algorithms.parts.gates import Drafted


@pytest.mark.parametrize("mean", [0.07, 0.17])
def test_the_gate_has_the_mean_weight_on_the_entropies_it_was_made_for(mean):
    entropies = torch.rand(1000, generator=torch.Generator().manual_seed(0)) * 3
    places = torch.arange(1000)
    weights = gate_at(mean, entropies)(Drafted(entropies, places, places))
    assert weights.mean().item() == pytest.approx(mean, abs=1e-4)
