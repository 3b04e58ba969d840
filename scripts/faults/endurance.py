"""A long run, whose memory, open files and processes must not grow."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import yaml
from faults.report import Outcome
from faults.runs import SmallRun

GROWTH = 1.02  # of the resident memory from the first fifth's end to the last fifth


def cases(folder: Path, cache: Path, steps: int) -> Iterator[Outcome]:
    """One run of many steps with graders in processes, looked at twice a second.

    Args:
        folder: to work in.
        cache: where timings are remembered.
        steps: of the run.
    """
    run = SmallRun(folder / "long", cache, steps=steps, saved=50, measured=100)
    settings = run.folder / "run.yaml"
    config = yaml.safe_load(settings.read_text())
    graders = {"class_path": "mentor_pl.rewards.math.MathReward", "init_args": {"workers": 2}}  # processes to watch
    config["data"]["reward"]["init_args"] = {"outcome": graders}
    settings.write_text(yaml.safe_dump(config))
    process = run.start()
    seen: list[tuple[int, int, int, int]] = []  # steps done, KiB, open files, processes
    with (run.folder / "said").open("w") as said:  # a pipe that nobody reads would fill
        threading.Thread(target=lambda: said.writelines(process.stdout or ()), daemon=True).start()
        while process.poll() is None:
            time.sleep(0.5)
            if (run.run_folder / "metrics.csv").exists() and (now := _looked(process.pid)):
                seen.append((max(run.steps(), default=0), *now))
    first = [one for one in seen if steps * 0.2 <= one[0] < steps * 0.4]
    last = [one for one in seen if steps * 0.8 <= one[0] < steps]
    if process.returncode or not first or not last:
        yield Outcome(f"{steps} steps", "status 0", f"status {process.returncode}, {len(seen)} looks", False)
        return
    for place, (name, unit, bar) in enumerate(
        (("resident memory", " MiB", GROWTH), ("open files", "", 1.0), ("processes", "", 1.0)), start=1
    ):
        scale = 1024 if unit else 1
        early, late = (median(one[place] for one in part) / scale for part in (first, last))
        yield Outcome(
            f"{steps} steps: {name}, medians of the second and the last fifth",
            f"at most × {bar}",
            f"{early:.0f}{unit} and {late:.0f}{unit}: × {late / early:.3f}",
            late <= early * bar,
        )


def _looked(pid: int) -> tuple[int, int, int] | None:
    """Resident KiB and open files of a process, and how many processes it and its children are; none if it has gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        memory = int(status.split("VmRSS:")[1].split()[0])
        files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
        return memory, files, _family(pid)
    except (OSError, IndexError):
        return None


def _family(pid: int) -> int:
    lists = Path(f"/proc/{pid}/task").glob("*/children")  # of each thread
    return 1 + sum(_family(int(child)) for children in lists for child in children.read_text().split())
