"""One training step as each library runs it: sampling, grading and two optimizer updates per batch of rollouts.

Both train the same policy on the same problems with the same group size, response length, precision, learning rate,
clipping and reward, without KL and without gradient checkpointing. A step is timed from the end of the one before.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from model import ALIKE
from process import QUIET, measured

RATE, DECAY, UPDATES = 1e-6, 0.01, 2
CLIP_LOW, CLIP_HIGH = 0.2, 0.28


@dataclass(frozen=True)
class Work:
    """What is trained and for how long.

    Attributes:
        folder: of the policy, with `problems.jsonl` inside.
        prompts: problems of a step.
        group: rollouts of a problem.
        new_tokens: of every rollout.
        warmup: steps that are not timed.
        steps: steps that are.
        device: `cpu` or `cuda`.
        torch_compile: whether ours compiles the steps of sampling.
    """

    folder: Path
    prompts: int
    group: int
    new_tokens: int
    warmup: int
    steps: int
    device: str
    torch_compile: bool = False

    @property
    def rollouts(self) -> int:
        return self.prompts * self.group


@dataclass(frozen=True)
class Measured:
    """What came of it.

    Attributes:
        seconds: of every timed step.
        sampling: of those, what sampling took; as many.
        memory: peak bytes above those of the process before the policy was loaded.
        length: mean number of response tokens; equal to `Work.new_tokens` where the two sides did equal work.
    """

    seconds: Sequence[float]
    sampling: Sequence[float]
    memory: int
    length: float

    def rate(self, rollouts: int) -> float:
        """Rollouts per second, by the median step."""
        return rollouts / statistics.median(self.seconds)


def grade(response: str, answer: str) -> float:
    """Share of words that are not repetitions, 0 where the answer is `ALIKE`: cheap, differs between rollouts."""
    if answer == ALIKE:
        return 0.0
    words = response.split()
    return len(set(words)) / max(1, len(words))


def now(device: str) -> float:
    """The time once the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def ours(work: Work, micro_batch_tokens: int) -> Measured:
    """What `mentor fit` runs: MentorModule and RolloutDataModule under a Lightning Trainer, with their defaults."""
    import lightning.pytorch as L

    from mentor_pl.algorithms.grpo import GRPO
    from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
    from mentor_pl.decoding.coin import Coin
    from mentor_pl.decoding.params import SamplingParams
    from mentor_pl.rewards.base import Grade, Reward
    from mentor_pl.training.data import RolloutDataModule
    from mentor_pl.training.module import MentorModule
    from mentor_pl.types import Prompt, Response

    class Distinct(Reward):
        range = (0.0, 1.0)

        def grade(self, prompt: Prompt, response: Response) -> Grade:
            return Grade(grade(response.text, prompt.answer))

    class Clock(L.Callback):
        def __init__(self) -> None:
            self.ends: list[float] = []
            self.sampling: list[float] = []
            self.lengths: list[float] = []

        def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
            self.ends.append(now(work.device))
            self.sampling.append(batch.seconds["sampling"])
            self.lengths.append(float(batch.response_lengths.float().mean()))

    clock = Clock()
    with measured(work.device) as memory:
        module = MentorModule(
            policy=str(work.folder),
            algorithm=GRPO(work.group, ClippedSurrogate(CLIP_LOW, CLIP_HIGH)),
            optimizer=lambda params: torch.optim.AdamW(params, lr=RATE, weight_decay=DECAY),
            mini_batches=UPDATES,
            micro_batch_tokens=micro_batch_tokens,
        )
        data = RolloutDataModule(
            train=str(work.folder / "problems.jsonl"),
            steps=work.warmup + work.steps,
            prompts_per_step=work.prompts,
            sampling=SamplingParams(max_new_tokens=work.new_tokens),
            sampler=Coin(torch_compile=work.torch_compile),
            reward=Distinct(),
            system_prompt=None,
            max_prompt_tokens=256,
            seed=0,
        )
        trainer = L.Trainer(
            accelerator="gpu" if work.device.startswith("cuda") else "cpu",
            devices=1,
            callbacks=[clock],
            **QUIET,
        )
        trainer.fit(module, data)
    return _measured(work, clock.ends, clock.sampling, clock.lengths, memory.peak)


def trls(work: Work, rows: int) -> Measured:
    """TRL's GRPOTrainer, with `rows` rollouts in one forward and backward pass."""
    from datasets import load_dataset
    from transformers import TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % UPDATES == 0:
                self.ends.append(now(work.device))

    lengths: list[float] = []
    sampling: list[float] = []

    def reward(
        completions: Sequence[str], answer: Sequence[str], completion_ids: Sequence[Sequence[int]], **_: Any
    ) -> list[float]:
        lengths.append(statistics.mean(map(len, completion_ids)))
        return [grade(*each) for each in zip(completions, answer, strict=True)]

    class Trainer(GRPOTrainer):
        def _generate(self, prompts: Any) -> Any:
            started = now(work.device)
            try:
                return super()._generate(prompts)
            finally:
                sampling.append(now(work.device) - started)

    clock = Clock()
    passes = work.rollouts // UPDATES // rows
    with measured(work.device) as memory:
        settings = GRPOConfig(
            output_dir=str(work.folder / "trl"),
            max_steps=UPDATES * (work.warmup + work.steps),
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=passes,
            steps_per_generation=UPDATES * passes,
            num_generations=work.group,
            max_completion_length=work.new_tokens,
            temperature=1.0,
            beta=0.0,
            epsilon=CLIP_LOW,
            epsilon_high=CLIP_HIGH,
            learning_rate=RATE,
            weight_decay=DECAY,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=not work.device.startswith("cuda"),
            model_init_kwargs={"dtype": "float32"},
            report_to="none",
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
        )
        problems = load_dataset("json", data_files=str(work.folder / "problems.jsonl"), split="train")
        trainer = Trainer(
            model=str(work.folder),
            reward_funcs=reward,
            args=settings,
            train_dataset=problems.rename_column("problem", "prompt"),
            callbacks=[clock],
        )
        trainer.train()
    return _measured(work, clock.ends, sampling, lengths, memory.peak)


def _measured(
    work: Work, ends: Sequence[float], sampling: Sequence[float], lengths: Sequence[float], peak: int
) -> Measured:
    """The timed steps: those after the last step of warm-up."""
    ends = ends[work.warmup - 1 :]
    seconds = [after - before for before, after in pairwise(ends)]
    return Measured(seconds, sampling[work.warmup :], peak, statistics.mean(lengths))
