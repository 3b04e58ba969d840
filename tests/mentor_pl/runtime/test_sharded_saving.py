"""Files of each rank, written while two ranks go on training: what they hold, and what becomes of those that fail."""

import pytest
import torch
from two_processes import output_of

from mentor_pl.runtime.checkpoint_files import SafeCheckpointIO
from mentor_pl.training.checkpoints import newest, numbered

RANKS = """
import sys
from pathlib import Path
from threading import Event

import lightning.pytorch as L
import torch
import torch.distributed as dist
from lightning.pytorch.loggers import CSVLogger
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

import mentor_pl.training.module
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime import sharded_saving
from mentor_pl.runtime.errors import StorageError
from mentor_pl.runtime.parallel import FSDP2Strategy
from mentor_pl.training.checkpoints import RunCheckpoints, newest, numbered
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule
from mentor_pl.training.optimizer_placement import states_of

policy, problems, folder = sys.argv[1:]
mentor_pl.training.module.check_optimizer_placement = lambda *_: None  # which refuses it on a CPU
save = sharded_saving.save


class CountWord(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(min(1.0, response.text.split().count("the") / 3))


class Probe(L.Callback):
    '''Keeps the weights that each step left; a write goes on once the step after it is done, or none will be.'''

    def __init__(self, held, ends):
        self.ends, self.held, self.weights, self.seen, self.resting = ends, held, {}, {}, []
        self.done = {step: Event() for step in range(1, 5)}

    def write(self, tensors, checkpoint_id, process_group):
        step = int(str(checkpoint_id).split("step=")[1].split(".")[0])
        if self.held and not self.done[step + 1].wait(120):
            raise AssertionError(f"nothing went on while step {step} was written")
        return save(tensors, checkpoint_id=checkpoint_id, process_group=process_group)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.resting.append(sum(s.untyped_storage().nbytes() for s in states_of(trainer.optimizers[0])))

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        step, place = pl_module.steps_done, Path(trainer.logger.log_dir) / "checkpoints"
        options = StateDictOptions(full_state_dict=True)
        self.weights[step] = {n: v.clone() for n, v in get_model_state_dict(pl_module, options=options).items()}
        self.seen[step] = [path.name for path in numbered(place)]
        assert self.held is False or newest(place, print) == next(iter(numbered(place)), None)
        self.done[step].set()
        if step == self.ends:
            raise ZeroDivisionError

    def on_train_end(self, trainer, pl_module):
        for event in self.done.values():
            event.set()


def fit(name, start=None, held=False, steps=3, placement="device", write=None, ends=None):
    L.seed_everything(7, verbose=False)
    probe = Probe(held, ends)
    sharded_saving.save = write or probe.write
    module = MentorModule(
        policy, None, GRPO(8), optimizer_placement=placement,
        optimizer=lambda params: torch.optim.AdamW(params, lr=1e-2),
    )
    data = RolloutDataModule(
        problems, steps=steps, prompts_per_step=4, sampling=SamplingParams(max_new_tokens=8), reward=CountWord(),
        system_prompt=None, max_prompt_tokens=8, seed=3,
    )
    trainer = L.Trainer(
        accelerator="cpu", devices=2, max_epochs=1, logger=CSVLogger(folder, "run", name), enable_progress_bar=False,
        strategy=FSDP2Strategy(save_distributed_checkpoint=True, timeout_minutes=2), enable_model_summary=False,
        callbacks=[probe, RunCheckpoints(1, 2)],
    )
    trainer.fit(module, data, ckpt_path=start)
    return probe


class Failing:
    '''Writes up to a step; of that step rank 1 cannot.'''

    def __init__(self, step):
        self.step = step

    def __call__(self, tensors, checkpoint_id, process_group):
        if dist.get_rank() and f"step={self.step}." in str(checkpoint_id):
            raise OSError("no space left")
        if f"step={self.step}." not in str(checkpoint_id):
            save(tensors, checkpoint_id=checkpoint_id, process_group=process_group)


probe = fit("whole", held=True)
torch.save({"weights": probe.weights, "seen": probe.seen}, f"{folder}/whole{dist.get_rank()}.pt")
on = fit("on", f"{folder}/run/whole/checkpoints/step=2.ckpt", placement="offloaded")
assert on.resting[0] < 0.01 * probe.resting[-1], (on.resting, probe.resting)
for name, step in (("failing", 1), ("failing_last", 3)):
    try:
        fit(name, write=Failing(step))
    except StorageError as error:
        print("refused:", name, error)
try:
    fit("ended", write=Failing(1), ends=2)
except ZeroDivisionError:
    print("ended")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, llama_folder):
    folder = tmp_path_factory.mktemp("sharded")
    words = ("we", "try", "the", "walk", "check", "sum", "answer")
    problems = [" ".join(words[(i * k + k) % 7] for k in (1, 2, 3)) for i in range(40)]
    rows = "".join(f'{{"problem": "{problem}", "answer": "the"}}\n' for problem in problems)
    (folder / "problems.jsonl").write_text(rows, encoding="utf-8")
    return folder, output_of(folder, RANKS, llama_folder, folder / "problems.jsonl", folder)


def kept(folder, name):
    return folder / f"run/{name}/checkpoints"


def test_what_is_written_while_the_run_goes_on_is_what_the_step_before_left(runs):
    """Held back until the next step is done, meanwhile there is no such checkpoint; in the end all are in place."""
    folder, _ = runs
    found = torch.load(folder / "whole0.pt", weights_only=True)
    assert found["seen"] == {1: [], 2: [], 3: ["step=1.ckpt"]}
    assert [path.name for path in numbered(kept(folder, "whole"))] == ["step=3.ckpt", "step=2.ckpt"]
    for step in (2, 3):
        path = kept(folder, "whole") / f"step={step}.ckpt"
        saved = SafeCheckpointIO().load_checkpoint(path)["state_dict"]
        assert saved.keys() == found["weights"][step].keys()
        assert all(torch.equal(saved[name], value) for name, value in found["weights"][step].items())


def test_a_run_goes_on_from_it_bit_for_bit_also_with_states_on_the_host(runs):
    folder, _ = runs
    whole, on = (SafeCheckpointIO().load_checkpoint(kept(folder, name) / "step=3.ckpt") for name in ("whole", "on"))
    assert all(torch.equal(on["state_dict"][name], value) for name, value in whole["state_dict"].items())
    moments, restored = (one["optimizer_states"][0]["state"] for one in (whole, on))
    assert moments.keys() == restored.keys() and len(moments) > 0
    for place, state in moments.items():
        assert all(torch.equal(restored[place][name], value) for name, value in state.items())


@pytest.mark.parametrize(("name", "before"), [("failing", []), ("failing_last", ["step=2.ckpt", "step=1.ckpt"])])
def test_what_one_rank_could_not_write_ends_the_run_on_all_at_the_next_checkpoint_or_its_end(runs, name, before):
    folder, printed = runs
    said = [line for line in printed.splitlines() if line.startswith(f"refused: {name} ")]
    assert len(said) == 2
    step = 1 if name == "failing" else 3
    assert all(f"step={step}.ckpt could not be written (no space left); those before it" in line for line in said)
    assert [path.name for path in numbered(kept(folder, name))] == before
    assert newest(kept(folder, name), print) == (kept(folder, name) / before[0] if before else None)


def test_what_ends_a_run_is_said_and_that_a_checkpoint_behind_it_could_not_be_written(runs):
    _, printed = runs
    assert printed.splitlines().count("ended") == 2
    # of three runs: twice by each rank, and here by the first
    assert printed.count("step=1.ckpt could not be written (no space left)") == 3
