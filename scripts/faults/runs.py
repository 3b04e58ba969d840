"""Small runs of `mentor fit` to be struck: their folder, their command, and what they end with."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from faults.environment import ROOT, environment

TIMEOUT = 1800  # seconds of the clock after which a run hangs; most take a few


@dataclass(frozen=True)
class Ended:
    """A process that has ended.

    Attributes:
        status: as a shell has it: 128 and the signal's number for one that was killed.
        text: what it said.
        seconds: from the strike to the end; none without a strike.
    """

    status: int
    text: str
    seconds: float | None

    @property
    def last_line(self) -> str:
        lines = [line for line in self.text.splitlines() if line.startswith("mentor:")]
        return lines[-1] if lines else self.text.strip().splitlines()[-1] if self.text.strip() else ""


class SmallRun:
    """A folder with a run of a few steps on the testbed, a checkpoint every third and a measurement every fourth.

    Args:
        folder: to work in; its `runs` is where the run's folder comes to lie.
        cache: where timings are remembered, on which the last bits depend; one for runs that are to be equal.
        processes: ranks; with more than one the policy is sharded.
        sharded: whether a checkpoint is a folder with files of each rank.
        steps: of the whole run.
        saved, measured: steps between two checkpoints, and two measurements.
    """

    def __init__(
        self,
        folder: Path,
        cache: Path,
        processes: int = 1,
        *,
        sharded: bool = False,
        steps: int = 12,
        saved: int = 3,
        measured: int = 4,
    ) -> None:
        self.folder, self.cache, self.processes, self.sharded = folder, cache.resolve(), processes, sharded
        folder.mkdir(parents=True, exist_ok=True)
        config = yaml.safe_load((ROOT / "configs/quickstart.yaml").read_text())
        data = ROOT / "data/testbed"
        config["trainer"] |= {"accelerator": "cpu", "enable_progress_bar": False}
        callbacks = {
            callback["class_path"]: callback.get("init_args", {}) for callback in config["trainer"]["callbacks"]
        }
        callbacks["callbacks.RunCheckpoints"]["every_n_steps"] = saved
        validation = callbacks["callbacks.BenchmarkValidation"]
        validation["every_n_steps"] = measured
        (folder / "few.jsonl").write_text("\n".join((data / "heldout.jsonl").read_text().splitlines()[:12]) + "\n")
        validation["benchmarks"][0] |= {"path": "few.jsonl", "samples": 2, "sampling": {"max_new_tokens": 24}}
        config["trainer"]["callbacks"].append({"class_path": "probe.Probe"})
        config["model"] |= {"policy": str(data / "policy"), "expert": str(data / "expert")}
        config["data"] |= {"train": str(data / "train.jsonl"), "steps": steps, "prompts_per_step": 4}
        config["data"]["sampling"]["max_new_tokens"] = 24
        (folder / "run.yaml").write_text(yaml.safe_dump(config))

    def start(self, *options: str, strike: str = "") -> subprocess.Popen[str]:
        """Start the command that begins the run or goes on with it."""
        command = [sys.executable, "-m", "mentor_pl.cli", "fit", "--config", "run.yaml"]
        if self.processes > 1:
            command += ["--config", str(ROOT / "configs/trainer/fsdp.yaml"), "--trainer.devices", str(self.processes)]
        if self.sharded:
            command += ["--trainer.strategy.init_args.save_distributed_checkpoint", "true"]
        paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts/faults")])
        (self.folder / "struck").unlink(missing_ok=True)
        return subprocess.Popen(
            [*command, *(options or ("--resume", "auto"))],
            cwd=self.folder,
            env=environment(self.cache, PYTHONPATH=paths, STRIKE=strike or "::"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> Ended:
        """Wait for it."""
        text, _ = process.communicate(timeout=TIMEOUT)
        ended, struck = time.time(), self.folder / "struck"
        status = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Ended(status, text, ended - float(struck.read_text()) if struck.exists() else None)

    def beside(self, folder: Path) -> SmallRun:
        """The same run in another folder."""
        return SmallRun(folder, self.cache, self.processes, sharded=self.sharded)

    def go(self, *options: str, strike: str = "") -> Ended:
        return self.end(self.start(*options, strike=strike))

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs/quickstart/version_0"

    def checkpoints(self) -> list[Path]:
        """Its checkpoints, the newest last."""
        found = (self.run_folder / "checkpoints").glob("step=*.ckpt")
        return sorted(found, key=lambda path: int(path.stem.split("=")[1]))

    def steps(self) -> list[int]:
        """Steps of the updates in metrics.csv."""
        with (self.run_folder / "metrics.csv").open(newline="") as file:
            return [int(row["step"]) for row in csv.DictReader(file) if row.get("train/loss")]

    def measured(self) -> list[int]:
        """Steps of the measurements in metrics.csv."""
        with (self.run_folder / "metrics.csv").open(newline="") as file:
            return [int(row["step"]) for row in csv.DictReader(file) if row.get("val/maze/avg@2")]


def difference(run: SmallRun, whole: SmallRun) -> str:
    """Where a finished run differs from an undisturbed one: weights, moments, rows; empty where nowhere."""
    ours, theirs = (one.checkpoints() for one in (run, whole))
    if not ours or ours[-1].name != theirs[-1].name:
        return f"its last checkpoint is {ours[-1].name if ours else 'missing'}, not {theirs[-1].name}"
    if (run.run_folder / "policy/model.safetensors").read_bytes() != (
        whole.run_folder / "policy/model.safetensors"
    ).read_bytes():
        return "the exported weights differ"
    if not run.sharded:
        ours_state, theirs_state = (torch.load(one[-1], weights_only=True) for one in (ours, theirs))
        for name in ("state_dict", "optimizer_states", "mentor", "lr_schedulers"):
            if not equal(ours_state[name], theirs_state[name]):
                return f"{name} of the last checkpoint differs"
    for name in ("steps", "measured"):
        if getattr(run, name)() != getattr(whole, name)():
            return f"metrics.csv has {name} {getattr(run, name)()}"
    return ""


def equal(a: object, b: object) -> bool:
    """Bit for bit, through containers."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(equal, a, b))
    return a == b
