"""A user's mistake, through the command line: one line on standard error that names it, and exit status 2."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from mentor_pl.cli.main import main

ROOT = Path(__file__).parents[1]
GATES = "mentor_pl.algorithms.parts.gates"

COMPONENTS = '''
import math

from mentor_pl.algorithms.parts.losses.base import LossOutputs, Term
from mentor_pl.rewards.base import Grade, Reward


class Generous(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(2.0)


class Poisoned(Term):
    """No number from the fifth pass on."""

    passes = 0

    def weight(self, tokens):
        return tokens.mask.sum()

    def __call__(self, batch):
        self.passes += 1
        return LossOutputs(batch.logprobs.sum() * (math.nan if self.passes > 4 else 1e-6))
'''


@pytest.fixture
def project(testbed_project):
    """A folder to start `mentor` from, with testbed and components of one's own."""
    (testbed_project / "components.py").write_text(COMPONENTS, encoding="utf-8")
    return testbed_project


SMALL = [
    *("--data.steps", "4", "--data.prompts_per_step", "2", "--data.sampling.max_new_tokens", "8"),
    *("--trainer.enable_progress_bar", "false"),
]


def fit(*options):
    return main(["fit", "--config", str(ROOT / "configs/quickstart.yaml"), *SMALL, *options])


def edited(project, name, change):
    """A copy of the testbed's policy whose JSON file `name` is changed."""
    folder = project / "edited"
    shutil.copytree(project / "data/testbed/policy", folder)
    values = json.loads((folder / name).read_text())
    change(values)
    (folder / name).write_text(json.dumps(values))
    return "edited"


def without_end(project):
    folder = project / edited(project, "tokenizer_config.json", lambda values: values.pop("eos_token"))
    for name in ("config.json", "generation_config.json"):
        values = json.loads((folder / name).read_text())
        values["eos_token_id"] = None
        (folder / name).write_text(json.dumps(values))
    return ["--model.policy", "edited", "--model.expert", "edited"]


def other_vocabulary(project):
    def swap(values):
        vocab = values["model"]["vocab"]
        vocab["U"], vocab["D"] = vocab["D"], vocab["U"]

    expert = edited(project, "tokenizer.json", swap)
    return ["--model.expert", expert, "--model.algorithm", "mentor_pl.algorithms.distillation.Distillation"]


def ending(project):
    (project / "ending.py").write_text("raise SystemExit(0)\n")
    return ["--data.reward", "ending.Reward"]


def problems(text):
    def write(project):
        (project / "problems.jsonl").write_text(text, encoding="utf-8")
        return ["--data.train", "problems.jsonl"]

    return write


GOOD = '{"problem": "blocked c30 c32 c33 goal c21 start c23", "answer": "U D L L"}\n'

MISTAKES = {
    "missing policy": (["--model.policy", "no/such/folder"], "policy 'no/such/folder': no such folder here"),
    "missing expert": (["--model.expert", "no/such/folder"], "expert 'no/such/folder': no such folder here"),
    "another vocabulary": (
        other_vocabulary,
        "algorithm Distillation asks for the expert's probabilities (",
    ),
    "no end of sequence": (without_end, "policy 'edited' has no end-of-sequence token"),
    "missing problems": (["--data.train", "nowhere.jsonl"], "nowhere.jsonl: no such file"),
    "empty problems": (problems("\n"), "problems.jsonl: no rows"),
    "malformed problem": (problems(GOOD + '{"problem": "x", answer}\n'), "problems.jsonl:2: not JSON"),
    "missing field": (problems(GOOD + '{"problem": "x"}\n'), "problems.jsonl:2: field 'answer' is missing"),
    "all prompts too long": (["--data.max_prompt_tokens", "3"], "all 12 prompts are longer than max_prompt_tokens = 3"),
    "one on-policy rollout": (["--model.algorithm.on_policy", "1"], "algorithm on_policy is 1"),
    "quantile out of range": (
        ["--model.algorithm.gate", "mentor_pl.algorithms.parts.gates.EntropyGate", "--model.algorithm.gate.p", "1.0"],
        "gate p is 1.0",
    ),
    "a group that no machine holds": (
        ["--model.algorithm.mixed", "99999999999999999999"],
        "algorithm mixed is 99999999999999999999",
    ),
    "more processes than can be": (
        ["--trainer.accelerator=cpu", "--trainer.devices=99"],
        "trainer.strategy DDPStrategy cannot run",
    ),
    "processes by pickling": (
        ["--trainer.accelerator=cpu", "--trainer.strategy=ddp_spawn", "--trainer.devices=2"],
        "trainer.strategy DDPStrategy cannot run",
    ),
    "a callback that cannot work here": (
        ["--trainer.callbacks+=lightning.pytorch.callbacks.BackboneFinetuning"],
        "trainer.callbacks: BackboneFinetuning fails here",
    ),
    "a module that ends the process": (ending, "ending.py:1: ends the process (SystemExit 0)"),
    "a checkpoint without a name": (["--ckpt_path="], "--ckpt_path is an empty text"),
    "a change of nothing": (["--resume_changes", "modl.alpha"], "--resume_changes modl.alpha: no such setting"),
    "a policy without a name": (["--model.policy="], "model.policy is an empty text"),
    "an optimizer of none": (
        ["--model.optimizer=torch.optim.Optimizer"],
        "required, but not set: model.optimizer.defaults. Set in",
    ),
    "negative α": (["--model.alpha=-0.5"], "model.alpha is -0.5"),
    "unknown class": (["--model.algorithm.gate", f"{GATES}.EntropyGat"], "EntropyGate"),
    "unknown module": (["--data.reward", "no_such_module.Reward"], "no_such_module"),
    "unknown setting": (["--data.prompt_per_step", "2"], "prompts_per_step"),
    "reward out of range": (["--data.reward", "components.Generous"], "reward Generous gave 2.0 to problem"),
    "weight that is no number": (
        ["--model.alpha=.nan"],
        "model.alpha is nan, but it weighs advantages: give at least 0",
    ),
    "number without a dot": (["--model.alpha=nan"], "--model.alpha: expected a number, got 'nan'"),
    "negative warm-up": (["--model.warmup_steps=-5"], "model.warmup_steps is -5"),
    "negative seed": (["--seed_everything=-1"], "seed_everything is -1"),
    "three epochs": (["--trainer.max_epochs", "3"], "trainer.max_epochs is 3 where only 1 works: a run is one epoch"),
    "accumulation": (["--trainer.accumulate_grad_batches", "4"], "set model.micro_batch_tokens"),
    "no logs": (["--trainer.log_every_n_steps", "0"], "trainer.log_every_n_steps is 0"),
    "unknown accelerator": (["--trainer.accelerator", "quantum"], "trainer.accelerator is 'quantum'"),
    "optimizer with a closure": (["--model.optimizer", "torch.optim.LBFGS"], "model.optimizer LBFGS takes no step"),
    "callback twice": (["--trainer.callbacks+", "callbacks.ExportPolicy"], "trainer.callbacks has ExportPolicy twice"),
    "no folder for logs": (["--trainer.logger.save_dir", "components.py"], "components.py is no folder: name another"),
    "missing package": (
        ["--trainer.logger", "lightning.pytorch.loggers.MLFlowLogger"],
        "MLFlowLogger cannot be made: ModuleNotFoundError",
    ),
    "guidance without expert": (
        ["--model.expert", "null"],
        "algorithm Mentor asks an expert, but model.expert is null",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_that_names_it(mistake, project, capfd):
    options, expected = MISTAKES[mistake]
    assert fit(*(options(project) if callable(options) else options)) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if "error" in line.lower()]
    assert len(lines) == 1
    assert lines[0].startswith("mentor: error: ")
    assert expected in lines[0]
    assert not list(project.glob("runs/**/checkpoints"))


@pytest.mark.filterwarnings("ignore:step")
def test_a_loss_that_is_no_number_ends_the_run_with_its_statistics_and_leaves_the_last_checkpoint(project, capfd):
    """Two steps of two optimizer steps each go well; the ten updates after them must spoil neither weights nor file."""
    interval = "--trainer.callbacks.init_args.every_n_steps"  # of the last callback, RunCheckpoints
    assert fit("--model.algorithm.loss", "components.Poisoned", interval, "2", "--data.steps", "9") == 1
    error = capfd.readouterr().err
    assert "Traceback" not in error
    assert "mentor: error: step 7: loss or gradient was no number in 10 updates in a row (loss nan, entropy" in error
    for step in (4, 6):
        saved = torch.load(f"runs/quickstart/version_0/checkpoints/step={step}.ckpt", weights_only=True)
        assert saved["global_step"] == 4
        assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_some_prompts_too_long_are_left_out_and_counted(project, caplog):
    long = json.dumps({"problem": "blocked " * 40, "answer": "U D L L"}) + "\n"
    (project / "problems.jsonl").write_text(GOOD * 6 + long * 2, encoding="utf-8")
    assert fit("--data.train", "problems.jsonl", "--data.steps", "1") == 0
    assert "problems.jsonl: 2 of 8 problems left out, their prompts exceed max_prompt_tokens = 32" in caplog.messages
