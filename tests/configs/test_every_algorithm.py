"""Every YAML of configs/algorithms runs the quick start, goes on bit for bit, and learns the same on two processes.

A new YAML is tested by being there.
"""

import json
from pathlib import Path

import pytest
import torch
from child_environment import ROOT
from two_processes import on_two_processes

from mentor_pl.cli.main import main
from mentor_pl.testbed.maze.build import build

YAMLS = sorted((ROOT / "configs/algorithms").glob("*.yaml"))
PAGE = (ROOT / "docs/algorithms.md").read_text(encoding="utf-8")

PROBE = '''
"""Keeps the first gradient that is not 0, before which weights are as they were, and the rollouts it comes from."""
from pathlib import Path

import lightning.pytorch as L
import torch
from torch.distributed.tensor import DTensor

from mentor_pl.rewards.base import Grade
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.runtime.collectives import all_objects


class Told(MazeReward):
    """The quick start's outcome, and a little that tells rollouts apart, so that every step has something to teach."""

    def grade(self, prompt, response):
        grade = super().grade(prompt, response)
        return Grade(0.8 * grade.total + 0.2 / (1 + len(response.text) % 7), grade.parts)


class Probe(L.Callback):
    def __init__(self, file: str):
        self.file, self.gradients, self.saved = Path(file), [], False

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if not any(gradient.any() for gradient in self.gradients):
            found = [p.grad for p in pl_module.policy.parameters()]
            self.gradients = [(g.full_tensor() if isinstance(g, DTensor) else g).clone() for g in found]

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if self.saved:
            return
        self.saved = any(gradient.any() for gradient in self.gradients)
        shown = zip(batch.group.tolist(), batch.mask, batch.response_ids, strict=True)
        rows = [(group, ids[mask].tolist()) for group, mask, ids in shown]
        ranks = enumerate(all_objects(rows))  # problems are dealt to ranks in turn
        groups = sorted((group * trainer.world_size + rank, ids) for rank, some in ranks for group, ids in some)
        if trainer.is_global_zero:
            torch.save({"gradients": self.gradients, "batch": groups}, self.file)
'''


def words_of(path, steps, file, *options):
    """`mentor fit` on the quick start with a method's YAML, a few problems and short responses."""
    callbacks = [{"class_path": f"callbacks.{name}"} for name in ("AlphaDecay", "EntropyLogging")]
    if steps > 1:
        callbacks.append({"class_path": "callbacks.RunCheckpoints", "init_args": {"every_n_steps": 1, "keep": 3}})
    callbacks.append({"class_path": "told_apart.Probe", "init_args": {"file": file}})
    small = {"data.steps": steps, "data.prompts_per_step": 4, "trainer.enable_progress_bar": "false"}
    small |= {"trainer.callbacks": json.dumps(callbacks), "trainer.logger.init_args.save_dir": f"runs/{file}"}
    small["data.reward.init_args.outcome"] = "told_apart.Told"
    configs = ["--config", str(ROOT / "configs/quickstart.yaml"), "--config", str(path)]
    return ["fit", *configs, *options, *(word for name, value in small.items() for word in (f"--{name}", str(value)))]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A folder with the testbed and the probe."""
    folder = tmp_path_factory.mktemp("algorithms")
    build(folder / "data/testbed", train_problems=40, heldout_problems=4)
    (folder / "told_apart.py").write_text(PROBE, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def two_processes(project, request):
    """What two processes saw of the methods that are asked for, and what they said."""
    asked = {item.callspec.params["path"] for item in request.session.items if item.originalname == ON_TWO.__name__}
    sharded = (
        "--config",
        str(ROOT / "configs/trainer/fsdp.yaml"),
        "--trainer.devices",
        "2",
        "--trainer.accelerator",
        "cpu",
    )
    runs = [words_of(path, 1, f"two-{path.stem}.pt", *sharded) for path in YAMLS if path in asked]
    return project, on_two_processes(project, runs)


@pytest.fixture
def inside(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project))
    return project


def checkpoint(name, step):
    (path,) = Path(f"runs/{name}.pt").glob(f"**/checkpoints/step={step}.ckpt")
    return path


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_two_steps_are_one_and_one_more(path, inside):
    name = path.stem
    assert main(words_of(path, 2, f"one-{name}.pt")) == 0
    start = ("--ckpt_path", str(checkpoint(f"one-{name}", 1)), "--resume_changes", "trainer.callbacks")
    assert main(words_of(path, 2, f"one-more-{name}.pt", *start)) == 0
    files = (checkpoint(f"{run}-{name}", 2) for run in ("one", "one-more"))
    whole, resumed = (torch.load(file, weights_only=True)["state_dict"] for file in files)
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


# of each kind of rounds one; the others take a minute more: -m slow
SOME = {"mentor", "luffy", "kdrl", "bread", "trb"}
ON_RANKS = [path if path.stem in SOME else pytest.param(path, marks=pytest.mark.slow, id=path.stem) for path in YAMLS]


@pytest.mark.parametrize("path", ON_RANKS, ids=lambda path: path.stem)
def test_two_processes_sample_and_learn_what_one_does(path, inside, two_processes):
    folder, said = two_processes
    one = folder / f"one-{path.stem}.pt"
    if not one.exists():  # where this test is run by itself
        assert main(words_of(path, 1, one.name)) == 0
    assert (folder / f"two-{path.stem}.pt").exists(), said
    single, double = (torch.load(folder / f"{n}-{path.stem}.pt", weights_only=True) for n in ("one", "two"))
    assert single["batch"] == double["batch"]
    assert any(gradient.any() for gradient in single["gradients"])
    for a, b in zip(single["gradients"], double["gradients"], strict=True):
        assert (a - b).abs().max() <= 1e-6


ON_TWO = test_two_processes_sample_and_learn_what_one_does


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_it_has_a_line_on_the_page_of_algorithms(path):
    lines = [line for line in PAGE.splitlines() if line.startswith("|") and f"configs/algorithms/{path.name}" in line]
    assert len(lines) == 1, f"docs/algorithms.md has {len(lines)} lines of its table for {path.name}"
