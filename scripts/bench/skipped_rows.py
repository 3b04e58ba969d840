"""What an update saves by leaving out the rollouts that carry no gradient: all right, all wrong, guided failures.

    python scripts/bench/skipped_rows.py [--steps 60] [--every 10] [--rounds 5] [--json FILE] [--check]

The quick start runs; every so many steps the gradients of its batch are worked out again, in turn with the rollouts
left out and with all of them read (the same term, told that tokens without advantage count). The figures are medians
of processor seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as L
import torch
from process import QUIET
from report import Figure, add_report_options, finish, machine
from torch import Tensor

from callbacks import AlphaDecay
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.testbed.maze.build import build
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule
from mentor_pl.training.update import Update


class ReadsAll(ClippedSurrogate):
    """The same loss, under which every rollout is read."""

    skips_zero_advantage = False


class Timed(L.Callback):
    """Times the gradients of every n-th step's batch, both ways."""

    def __init__(self, every: int, rounds: int) -> None:
        self.every, self.rounds = every, rounds
        self.ratios: list[float] = []
        self.left_out: list[float] = []
        self.differences: list[float] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if batch.step % self.every:
            return
        advantages = module.algorithm.advantages(batch)
        self.left_out.append(float((advantages == 0).float().mean()))
        seconds: dict[type, list[float]] = {ClippedSurrogate: [], ReadsAll: []}
        gradients: dict[type, Tensor] = {}
        for _ in range(self.rounds):
            for kind in seconds:
                update = Update(module.policy, None, [kind()], module.vocabulary.size, module.micro_batch_tokens)
                started = time.process_time()
                update.accumulate_gradients(batch, advantages, torch.arange(len(batch)), Tensor.backward)
                seconds[kind].append(time.process_time() - started)
                gradients[kind] = torch.cat([p.grad.flatten() for p in module.policy.parameters()])
                module.policy.zero_grad()
        fewer, whole = gradients[ClippedSurrogate], gradients[ReadsAll]
        self.differences.append(float((fewer - whole).norm() / whole.norm().clamp(min=1e-30)))
        self.ratios.append(statistics.median(seconds[ClippedSurrogate]) / statistics.median(seconds[ReadsAll]))


def main() -> int:
    """Run, print the table and give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60, help="of the quick start (default: %(default)s)")
    parser.add_argument("--every", type=int, default=10, help="steps between two measurements (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (default: %(default)s)")
    add_report_options(parser)
    options = parser.parse_args()
    torch.set_num_threads(1)
    L.seed_everything(1, verbose=False)
    timed = Timed(options.every, options.rounds)
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        module = MentorModule(
            policy=f"{folder}/policy",
            expert=f"{folder}/expert",
            algorithm=Mentor(),
            optimizer=lambda params: torch.optim.AdamW(params, lr=3e-4, weight_decay=0.01),
        )
        data = RolloutDataModule(
            train=f"{folder}/train.jsonl",
            steps=options.steps,
            prompts_per_step=12,
            sampling=SamplingParams(max_new_tokens=80),
            reward=PaperReward(MazeReward()),
            system_prompt=None,
            max_prompt_tokens=32,
        )
        trainer = L.Trainer(accelerator="cpu", callbacks=[AlphaDecay(), timed], **QUIET)
        trainer.fit(module, data)
    pairs = zip(timed.left_out, timed.ratios, strict=True)
    each = ", ".join(f"{share:.0%} out: {ratio:.2f}" for share, ratio in pairs)
    ratio = statistics.mean(timed.ratios)
    figures = [
        Figure(
            "rollouts without a gradient", statistics.mean(timed.left_out), detail="share, mean over measured steps"
        ),
        Figure("update, left out ÷ all read", ratio, bar=1.0, sense="at most", detail=each),
        Figure("gradient, relative difference", max(timed.differences), bar=1e-6, sense="at most"),
    ]
    return finish(
        "rollouts without a gradient", figures, machine(), options, ["processor seconds; quick start, MENTOR"]
    )


if __name__ == "__main__":
    sys.exit(main())
