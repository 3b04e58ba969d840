"""Ten steps of the quick start give the losses that are committed: whatever changes a number is seen at once.

The numbers are compared as they are on the platform that made them, and to 1e-5 elsewhere, where kernels round
otherwise. A change that is meant is committed with the file made anew:

    PYTHONPATH=tests/fixtures python tests/test_reference_losses.py
"""

import csv
import json
import platform
import tempfile
from pathlib import Path

import pytest
import torch
from two_processes import status_of

ROOT = Path(__file__).parents[1]
FILE = ROOT / "tests/reference_losses/quickstart.json"
METRICS = ("train/loss", "train/grad_norm", "train/entropy", "train/on_policy/reward", "train/response_tokens")
OVERLAYS = {"mentor": [], "grpo": ["--config", str(ROOT / "configs/algorithms/grpo.yaml")]}
# K is given: what is measured instead chooses batch shapes, and with them the last bits
SCHEDULE = "mentor_pl.decoding.engine.lookahead.FixedK"


def this_platform():
    """What rounding depends on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()}, {model}, {capability}, torch {torch.__version__}, python {platform.python_version()}"


def ten_steps(folder):
    """Method -> metric -> its value at each step, from a process of their own with one thread."""
    small = ["--data.steps", "10", "--trainer.enable_progress_bar", "false", "--trainer.enable_checkpointing", "false"]
    callbacks = [{"class_path": f"callbacks.{name}"} for name in ("AlphaDecay", "EntropyLogging")]
    sampler = {"class_path": "mentor_pl.decoding.coin.Coin", "init_args": {"schedule": {"class_path": SCHEDULE}}}
    sampler["init_args"]["schedule"]["init_args"] = {"k": 4}
    small += ["--data.sampler", json.dumps(sampler), "--trainer.callbacks", json.dumps(callbacks)]
    commands = [["testbed", "build", "--out", "data/testbed"]]
    for method, overlay in OVERLAYS.items():
        options = ["--config", str(ROOT / "configs/quickstart.yaml"), *overlay, *small]
        commands.append(["fit", *options, "--trainer.logger.init_args.save_dir", f"runs/{method}"])
    status, printed = status_of(Path(folder), *commands)
    assert status == 0, printed
    return {method: logged(Path(folder) / "runs" / method) for method in OVERLAYS}


def logged(folder):
    """Metric -> its value at each step."""
    (metrics,) = folder.glob("**/metrics.csv")
    rows = [row for row in csv.DictReader(metrics.open(encoding="utf-8")) if row["train/loss"]]
    described = [row for row in csv.DictReader(metrics.open(encoding="utf-8")) if row["train/on_policy/reward"]]
    return {name: [float(row[name]) for row in (rows if rows[0][name] else described)] for name in METRICS}


@pytest.fixture(scope="module")
def values(tmp_path_factory):
    return ten_steps(tmp_path_factory.mktemp("reference"))


@pytest.mark.parametrize("method", OVERLAYS)
def test_ten_steps_of_the_quick_start_give_the_committed_numbers(values, method):
    reference = json.loads(FILE.read_text(encoding="utf-8"))
    got, expected = values[method], reference["values"][method]
    assert [len(values) for values in got.values()] == [10] * len(METRICS)
    if this_platform() == reference["platform"]:
        assert got == expected
    else:
        for name, values in expected.items():
            assert got[name] == pytest.approx(values, rel=1e-5, abs=1e-5), name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        made = {"platform": this_platform(), "values": ten_steps(scratch)}
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
