"""Runs of `mentor fit` whose graders are killed, hang or fail."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from faults.environment import ROOT, environment
from faults.processes import fork_servers, kill
from faults.report import Outcome

from mentor_pl.testbed.maze.build import build

SECONDS = 300

REWARDS = '''
import threading
from concurrent.futures import Future, ThreadPoolExecutor

from mentor_pl.rewards.base import Grade, Reward


class Judge(Reward):
    """Grades most responses; for every third it does what it is told."""

    range = (0.0, 1.0)

    def __init__(self, act: str = "raise") -> None:
        self.act, self.calls, self.threads = act, 0, ThreadPoolExecutor(2)

    def grade(self, prompt, response):
        self.calls += 1
        if self.calls % 3:
            return Grade(float(self.calls % 2))
        if self.act == "raise":
            raise ConnectionError("the judge is down")
        if self.act == "exit":
            raise SystemExit(0)
        if self.act == "none":
            return None
        if self.act == "hang":
            threading.Event().wait()
        if self.act == "hang later":
            return self.threads.submit(threading.Event().wait)
        if self.act == "never":
            return Future()
        return Grade(0.5, {"outcome": float("nan")})
'''


def run_cases(folder: Path) -> Iterator[Outcome]:
    """Whole runs in `folder`."""
    data = folder / "data/testbed"
    build(data, train_problems=40, heldout_problems=12)
    (folder / "rewards.py").write_text(REWARDS)
    yield _killed_mid_run(folder)
    for act in ("raise", "exit", "hang", "hang later", "never", "nan"):
        yield _ends_in_one_line(folder, act)
    for act, rule in (("none", None), ("raise", "mask"), ("hang later", "mask"), ("never", "zero")):
        yield _goes_on(folder, act, rule)


def _start(folder: Path, *options: str) -> subprocess.Popen[str]:
    small = ["--data.steps", "6", "--data.prompts_per_step", "4", "--data.sampling.max_new_tokens", "24"]
    configs = [str(ROOT / "configs" / name) for name in ("quickstart.yaml", "algorithms/grpo.yaml")]
    command = [sys.executable, "-m", "mentor_pl.cli", "fit"]
    for config in configs:
        command += ["--config", config]
    return subprocess.Popen(
        [*command, *small, "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false", *options],
        cwd=folder,
        env=environment(folder / "cache"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _killed_mid_run(folder: Path) -> Outcome:
    """The fork server of a run is killed after every step; the weights at its end against an undisturbed run's."""
    weights, killed = [], 0
    for name in ("undisturbed", "struck"):
        base = f"runs/{name}"
        outcome = "--data.reward.init_args.outcome"
        run = _start(folder, "--trainer.logger.init_args.save_dir", base, outcome, "mentor_pl.rewards.math.MathReward")
        if name == "struck":
            killed = _kill_after_each_row(run, folder / base)
        status = run.wait(SECONDS)
        found = list((folder / base).glob("**/policy/model.safetensors"))
        weights.append(found[0].read_bytes() if status == 0 and found else None)
    equal = weights[0] is not None and weights[0] == weights[1]
    seen = f"killed {killed} times, weights {'equal' if equal else 'differ or are missing'}"
    case = "fork server of a run of 6 steps killed after every step"
    return Outcome(case, "weights equal bit for bit, 3 kills or more", seen, equal and killed >= 3)


def _kill_after_each_row(run: subprocess.Popen[str], folder: Path) -> int:
    killed = seen = 0
    while run.poll() is None:
        rows = sum(len(path.read_text().splitlines()) for path in folder.glob("**/metrics.csv"))
        if rows > seen and (sent := kill(fork_servers(run.pid), signal.SIGKILL)):
            seen, killed = rows, killed + sent
        time.sleep(0.01)
    return killed


def _with_reward(act: str) -> list[str]:
    reward = ["--data.reward", "rewards.Judge", "--data.reward.init_args.act", act]
    return ["--trainer.logger.init_args.save_dir", f"runs/{act}", *reward, "--data.grading_timeout", "1"]


def _ends_in_one_line(folder: Path, act: str) -> Outcome:
    run, started = _start(folder, *_with_reward(act)), time.monotonic()
    _, said = run.communicate(timeout=SECONDS)
    lines = [line for line in said.splitlines() if line.startswith("mentor: error:")]
    named = len(lines) == 1 and "reward Judge" in lines[0] and "problem" in lines[0] and "Traceback" not in said
    seen = f"status {run.returncode} in {time.monotonic() - started:.0f} s: {lines[0] if lines else said[-200:]}"
    expected = "status 2, one line with reward, problem and remedy"
    return Outcome(f"a reward of one's own: {act}", expected, seen, named and run.returncode == 2)


def _goes_on(folder: Path, act: str, rule: str | None) -> Outcome:
    options = ["--data.on_failure", rule] if rule else []
    run = _start(folder, *_with_reward(act), *options)
    _, said = run.communicate(timeout=SECONDS)
    counts = []
    for path in (folder / f"runs/{act}").glob("**/metrics.csv"):
        with path.open(newline="") as file:
            counts = [float(row["reward/not_graded"]) for row in csv.DictReader(file) if row.get("reward/not_graded")]
    seen = f"status {run.returncode}, not graded: {counts}{'' if run.returncode == 0 else said[-200:]}"
    case = f"a reward of one's own: {act}, data.on_failure: {rule or 'null'}"
    passed = run.returncode == 0 and len(counts) == 6 and all(counts)
    return Outcome(case, "the run ends with status 0, failures counted at every step", seen, passed)
