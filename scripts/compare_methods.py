"""Trains several methods with several seeds on one base configuration and prints them side by side.

python scripts/compare_methods.py --seeds 1 2 3 --methods mentor grpo

Every run is a `mentor fit` of its own, with the base configuration, then the method's. Two Markdown tables (the end of
every seed's run, then mean ± standard error; the same by step) and a figure go into the output folder. Runs that are
there already are not repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.progress import Progress

from mentor_pl.experiments.comparison import Run, comparison_table, draw_comparison, progress_table, read_run
from mentor_pl.experiments.curves import save_figure

PANELS = {
    "val/maze/avg@8": "Held-out accuracy, avg@8",
    "val/maze/pass@8": "Held-out pass@8",
    "train/on_policy/entropy": "Policy entropy (nats per token)",
    "train/on_policy/length": "Response length (tokens)",
}


def train(method: str, seed: int, base: str, out: Path, threads: int, extra: Sequence[str]) -> Run:
    """One run in a process of its own; its log lies beside its metrics."""
    folder = out / method / f"seed{seed}"
    done = folder / "finished.json"
    if not done.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "metrics.csv").unlink(missing_ok=True)
        overlay = Path("configs/algorithms") / f"{method}.yaml"
        command = [sys.executable, "-m", "mentor_pl.cli", "fit", "--config", base, "--config", str(overlay)]
        command += ["--seed_everything", str(seed), "--trainer.enable_progress_bar", "false"]
        logger = {"save_dir": out, "name": method, "version": f"seed{seed}"}
        command += [f"--trainer.logger.init_args.{name}={value}" for name, value in logger.items()]
        started = time.perf_counter()
        with (folder / "log.txt").open("w") as log:
            environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
            subprocess.run([*command, *extra], stdout=log, stderr=log, env=environment, check=True)
        done.write_text(json.dumps({"seconds": time.perf_counter() - started}))
    return read_run(folder, method, seed, json.loads(done.read_text())["seconds"])


def main() -> None:
    """Run, tabulate, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=["mentor", "grpo"], help="names of files in configs/algorithms")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--base", default="configs/quickstart.yaml", help="configuration under every method's")
    parser.add_argument("--out", type=Path, default=Path("runs/comparison"))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; each gets its share of the processors")
    parser.add_argument(
        "--metrics", nargs="+", default=["val/maze/avg@8", "val/maze/pass@8", "train/on_policy/entropy"]
    )
    parser.add_argument("extra", nargs="*", help="after `--`: further options of `mentor fit`, for every run")
    options = parser.parse_args()
    threads = max(1, (os.cpu_count() or 1) // options.jobs)
    plan = [(method, seed) for seed in options.seeds for method in options.methods]
    with Progress() as progress, ThreadPoolExecutor(options.jobs) as pool:
        task = progress.add_task(f"{len(plan)} runs", total=len(plan))

        def one(method: str, seed: int) -> Run:
            run = train(method, seed, options.base, options.out, threads, options.extra)
            progress.advance(task)
            return run

        runs = list(pool.map(lambda item: one(*item), plan))
    measured = [metric for metric in options.metrics if metric.startswith("val/")]
    table = comparison_table(runs, options.metrics) + "\n\n" + progress_table(runs, measured)
    (options.out / "table.md").write_text(table + "\n", encoding="utf-8")
    figure = save_figure(draw_comparison(runs, PANELS), options.out / "comparison.png")
    print(table)
    print(f"\nfigure  {figure}")


if __name__ == "__main__":
    main()
