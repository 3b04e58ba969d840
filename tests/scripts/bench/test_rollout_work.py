"""The benchmark's gate has the mean weight that a figure speaks of, and its cost model the forwards that are run."""

import pytest
import rollout_work
import torch
from mixture import Shape
from rollout_work import LOW, gate_at, work

from mentor_pl.algorithms.parts.gates import Drafted


@pytest.mark.parametrize("mean", [0.07, 0.17])
def test_the_gate_has_the_mean_weight_on_the_entropies_it_was_made_for(mean):
    entropies = torch.rand(1000, generator=torch.Generator().manual_seed(0)) * 3
    places = torch.arange(1000)
    weights = gate_at(mean, entropies)(Drafted(entropies, places, places))
    assert weights.mean().item() == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize(("asked", "mostly_packed", "compiled"), [(False, False, 0), (True, False, 1), (True, True, 0)])
def test_forwards_are_timed_as_they_are_run(asked, mostly_packed, compiled, monkeypatch):
    seen = []
    monkeypatch.setattr(rollout_work, "is_mostly_packed", lambda policy: mostly_packed)
    monkeypatch.setattr(rollout_work, "measure_timings", lambda *arguments: seen.append(arguments[-1]))
    tiny = Shape(32, 1, 2, 1, 64)
    assert work(tiny, tiny, LOW, 4, 4, torch_compile=asked).timings is None
    assert [execution.torch_compile for execution in seen] == [bool(compiled)]
