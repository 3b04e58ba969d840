"""Optimizer states that lie on the host while rollouts are sampled: what is held, and that nothing else changes."""

from functools import partial

import lightning.pytorch as L
import pytest
import torch
import torch.distributed as dist
from lightning.pytorch.loggers import CSVLogger
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, distribute_tensor

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.checkpoints import RunCheckpoints
from mentor_pl.training.optimizer_placement import OffloadedStates, check_optimizer_placement, states_of
from mentor_pl.training.optimizing import try_optimizer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def held(optimizer):
    """Bytes that the states lie in, counters apart."""
    return sum(state.untyped_storage().nbytes() for state in states_of(optimizer))


def step(parameters, optimizer, number):
    for place, parameter in enumerate(parameters):
        parameter.grad = torch.full_like(parameter, 0.1 * number + place)
    optimizer.step()


@pytest.fixture
def mesh():
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.mark.parametrize("sharded", [False, True])
def test_states_take_no_room_on_the_device_until_a_step_or_a_checkpoint_asks_for_them(sharded, mesh):
    def made():
        values = [torch.arange(6.0).view(2, 3), torch.arange(4.0)]
        values = [distribute_tensor(value, mesh) for value in values] if sharded else values
        parameters = [torch.nn.Parameter(value) for value in values]
        return parameters, torch.optim.AdamW(parameters, lr=0.1)

    (plain, theirs), (moved, ours) = made(), made()
    rest = OffloadedStates(ours, CPU)
    rest.rest()  # of what is not there yet
    for number in (1, 2, 3):
        step(plain, theirs, number)
        step(moved, ours, number)
        assert held(ours) == held(theirs) == 2 * 4 * (6 + 4)  # two moments of ten float32 numbers
        rest.rest()
        rest.rest()
        assert held(ours) == 4 * 4  # one number for each of four
        assert all(torch.equal(one.grad, other.grad) for one, other in zip(plain, moved, strict=True))
        if number == 2:
            saved, expected = (one.state_dict()["state"] for one in (ours, theirs))
            assert held(ours) == held(theirs)
            for place, moments in expected.items():
                assert type(saved[place]["exp_avg"]) is (DTensor if sharded else torch.Tensor)
                assert all(torch.equal(saved[place][name], value) for name, value in moments.items())
            rest.rest()
    assert all(torch.equal(one, other) for one, other in zip(plain, moved, strict=True))


def test_the_hosts_memory_is_taken_once(monkeypatch):
    """Pinned memory is slow to come by."""
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter])
    rest, taken = OffloadedStates(optimizer, CPU), []
    empty_like = torch.empty_like
    monkeypatch.setattr(torch, "empty_like", lambda *a, **k: taken.append(1) or empty_like(*a, **k))
    for number in (1, 2, 3):
        step([parameter], optimizer, number)
        rest.rest()
    assert len(taken) == 2


class Paged(torch.optim.AdamW):
    is_paged = True


@pytest.mark.parametrize(
    ("kind", "device", "message"),
    [
        (torch.optim.AdamW, CPU, "this run is on the CPU, so .* in the host's memory anyway: take device"),
        (torch.optim.SGD, CUDA, "SGD as it is set keeps nothing of the weights' size: take device"),
        (Paged, CUDA, "Paged moves its states .* by itself: take device"),
    ],
)
def test_a_placement_that_would_do_nothing_is_refused(kind, device, message):
    with pytest.raises(UsageError, match=rf"model\.optimizer_placement is offloaded, but {message}"):
        check_optimizer_placement("offloaded", try_optimizer(partial(kind, lr=1e-3)), device)
    check_optimizer_placement("device", try_optimizer(partial(kind, lr=1e-3)), device)


def test_one_that_does_something_is_not_refused():
    check_optimizer_placement("offloaded", try_optimizer(partial(torch.optim.SGD, lr=1e-3, momentum=0.9)), CUDA)


def test_a_run_on_the_cpu_is_refused_before_anything_is_loaded(run):
    job = run(module_options={"optimizer_placement": "offloaded"})
    with pytest.raises(UsageError, match=r"model\.optimizer_placement is offloaded, but this run is on the CPU"):
        job.fit()
    assert job.module.policy is None


class Held(L.Callback):
    """Bytes of the states before and after each update; may send them off, before a checkpoint is saved and last."""

    def __init__(self, away):
        self.away, self.before, self.after = away, [], []

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.before.append(held(trainer.optimizers[0]))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.after.append(held(trainer.optimizers[0]))
        self._send_off(pl_module)

    def on_train_end(self, trainer, pl_module):
        self._send_off(pl_module)

    def _send_off(self, module):
        if self.away:
            module.sampling_begins()


def test_a_run_is_the_same_with_it_checkpoints_and_resume_too(run, tmp_path, equal_weights, monkeypatch):
    """Checkpoints are saved while the states are away, and at the end none is."""

    def fit(name, placement, start=None):
        probe = Held(away=placement == "offloaded")
        job = run(
            callbacks=[probe, RunCheckpoints(1, 9)],
            algorithm=GRPO(8),
            module_options={"optimizer_placement": placement, "expert": None},
            trainer_options={"logger": CSVLogger(tmp_path, "run", name), "enable_checkpointing": True},
        )
        weights = job.fit(ckpt_path=start)
        assert held(job.trainer.optimizers[0]) == max(probe.after)
        return weights, probe

    def saved(name, number):
        found = torch.load(tmp_path / f"run/{name}/checkpoints/step={number}.ckpt", weights_only=True)
        return found["optimizer_states"][0]["state"]

    plain, _ = fit("plain", "device")
    monkeypatch.setattr("mentor_pl.training.module.check_optimizer_placement", lambda *_: None)
    moved, probe = fit("moved", "offloaded")
    resumed, _ = fit("resumed", "offloaded", tmp_path / "run/moved/checkpoints/step=2.ckpt")
    assert equal_weights(plain, moved) and equal_weights(plain, resumed)
    assert probe.before[0] == 0 and max(probe.before) < 0.01 * min(probe.after)
    for number in (1, 2, 3):
        for place, moments in saved("plain", number).items():
            assert moments["exp_avg"].any()
            assert all(torch.equal(saved("moved", number)[place][name], value) for name, value in moments.items())
