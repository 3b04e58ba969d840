import inspect

import pytest
from experiment_results import small_design

from mentor_pl.experiments.design.design import Choice, Method
from mentor_pl.experiments.runner import cells as cells_file
from mentor_pl.experiments.runner.cells import REQUIRED, at_a_time, check_whole
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule


def test_what_is_required_is_what_a_run_has_no_default_for():
    for room, kind in (("model", MentorModule), ("data", RolloutDataModule)):
        parameters = inspect.signature(kind).parameters.values()
        assert REQUIRED[room] == tuple(one.name for one in parameters if one.default is one.empty)


def test_a_design_is_whole_where_every_run_has_what_is_required_wherever_it_is_set(tmp_path):
    with pytest.raises(UsageError, match=r"model\.policy is required, but no configuration"):
        check_whole(small_design(tmp_path))
    check_whole(small_design(tmp_path, overrides={"model.policy": "p"}))
    methods = {"mentor": Method(overrides={"model.policy": "p"}), "grpo": Method()}
    with pytest.raises(UsageError, match=r"model\.policy is required"):
        check_whole(small_design(tmp_path, methods=methods))
    policies = (Choice("a", {"model.policy": "a"}), Choice("b", {"model.policy": "b"}))
    check_whole(small_design(tmp_path, settings={"policy": policies}))


@pytest.fixture
def machine(monkeypatch):
    """(cores, whether there is a GPU) -> this machine is so."""

    def be(cores, gpu):
        monkeypatch.setattr(cells_file, "cores", lambda: cores)
        monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)

    return be


@pytest.mark.parametrize(
    ("cores", "gpu", "changes", "count"),
    [
        (8, False, {}, 8),
        (8, False, {"threads": 3}, 2),
        (1, False, {"threads": 2}, 1),
        (8, True, {}, 1),
        (8, False, {"overrides": {"trainer.devices": 1}}, 8),
        (8, False, {"overrides": {"trainer.devices": [3]}}, 8),
        (8, False, {"overrides": {"trainer.devices": [0, 1]}}, 1),
        (8, False, {"overrides": {"trainer.devices": "auto"}}, 1),
        (8, False, {"overrides": {"trainer.num_nodes": 2}}, 1),
        (8, False, {"settings": {"devices": (Choice("1"), Choice("2", {"trainer.devices": 2}))}}, 1),
    ],
)
def test_cells_share_cores_and_nothing_else(machine, tmp_path, cores, gpu, changes, count):
    machine(cores, gpu)
    assert at_a_time(small_design(tmp_path, **changes)) == count
