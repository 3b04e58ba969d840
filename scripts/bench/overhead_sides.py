"""Steps of `mentor fit` under MENTOR or on-policy RL, taken apart: seconds by part, memory, tokens read by each model.

α stays at 1, so every step of MENTOR is guided: what a run costs until its guidance ends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

import lightning.pytorch as L
from cost_model import kept
from mixture import Shape, build_pair
from model import make_problems, word_tokenizer
from process import measured
from rollout_work import LARGE, LOW, QWEN_1_5B, SMALL
from step_sides import grade
from stopwatch import PARTS, Seconds, Stopwatch
from transformers import LlamaConfig, LlamaForCausalLM

from mentor_pl.cli.main import main
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.models.loading import save_folder
from mentor_pl.models.logprobs import tokens_read
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.testbed.maze.build import build
from mentor_pl.types import Prompt, Response, Rollouts

CONFIGS = Path(__file__).parents[2] / "configs"
SIDES = {"MENTOR": "mentor", "on-policy RL": "grpo"}  # side -> its YAML in configs/algorithms


@dataclass(frozen=True)
class Case:
    """What both sides train.

    Attributes:
        name: of it.
        options: of `mentor fit`, over the quick start's.
    """

    name: str
    options: Mapping[str, Any]


def quick_start(folder: Path) -> Case:
    """The quick start as it is."""
    build(folder / "testbed")
    files = {"model.policy": "policy", "model.expert": "expert", "data.train": "train.jsonl"}
    return Case("quick start", {name: f"{folder}/testbed/{file}" for name, file in files.items()})


@dataclass(frozen=True)
class Sizes:
    """Of the models made to measure, and of a step's problems."""

    policy: Shape
    expert: Shape
    vocabulary: int
    prompts: int
    prompt_tokens: tuple[int, int]
    new_tokens: int

    @classmethod
    def on(cls, device: str) -> Sizes:
        """A policy of 1 M parameters under an expert of 4 M; on a GPU 0.5 B under 1.5 B, with Qwen2.5's vocabulary."""
        if device.startswith("cuda"):
            return cls(Shape(896, 24, 14, 2, 4864), QWEN_1_5B, 151936, 32, (64, 192), 1024)
        return cls(SMALL, LARGE, 1024, 8, (64, 192), 128)


def made(folder: Path, sizes: Sizes) -> Case:
    """A random policy under a random expert, unsure of some tokens (`mixture.py`)."""
    longest = sizes.prompt_tokens[1]
    pair = build_pair(sizes.policy, sizes.expert, LOW, sizes.vocabulary, longest + sizes.new_tokens, seed=0)
    for role, model in zip(("policy", "expert"), pair, strict=True):
        tokenizer = word_tokenizer(sizes.vocabulary)
        save_folder(_as_llama(model, tokenizer), tokenizer, folder / role)
    problems = folder / "problems.jsonl"  # of ids that a response passes through before it settles
    make_problems(problems, 4 * sizes.prompts, sizes.vocabulary // 2, *sizes.prompt_tokens)
    options = {
        "model.policy": str(folder / "policy"),
        "model.expert": str(folder / "expert"),
        "data.train": str(problems),
        "data.prompts_per_step": sizes.prompts,
        "data.sampling.max_new_tokens": sizes.new_tokens,
        "data.max_prompt_tokens": longest,
        "data.reward": {"class_path": f"{__name__}.Distinct"},
    }
    return Case("made to measure", options)


def _as_llama(model: Any, tokenizer: Any) -> LlamaForCausalLM:
    """The same function (Qwen2's biases are 0), of a kind whose folders may have any tokenizer."""
    names = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    names += ("num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "tie_word_embeddings")
    tokens = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    llama = LlamaForCausalLM(LlamaConfig(**{name: getattr(model.config, name) for name in names}, **tokens))
    llama.load_state_dict({name: value for name, value in model.state_dict().items() if not name.endswith("bias")})
    return llama


class Distinct(Reward):
    """Costs nothing and differs between rollouts."""

    range = (0.0, 1.0)

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        return Grade(grade(response.text, prompt.answer))


@dataclass(frozen=True)
class Measured:
    """One process.

    Attributes:
        wall, processor: part -> median seconds over the timed steps.
        memory: peak bytes above those of the process before models were loaded.
        tokens: response tokens of a step, on average.
        flops: part -> Σ 2 · parameters · tokens of a step, as `mentor_pl.training.ledger` counts.
        decode: counts of a step per response token; under MENTOR also, of mixture rollouts, mean w, tokens replaced
            per token and K, and drafts that the cost model says are lost.
    """

    wall: Mapping[str, float]
    processor: Mapping[str, float]
    memory: int
    tokens: float
    flops: Mapping[str, float]
    decode: Mapping[str, float]

    @property
    def step(self) -> float:
        """Processor seconds of a step."""
        return sum(self.processor.values())


class Clock(L.Callback):
    """Takes the stopwatch at the end of every step."""

    stopwatch: Stopwatch  # of the process; a callback that YAML names has no other way to it
    taken: list[tuple[Seconds, Mapping[str, float], Mapping[str, float]]]

    def on_train_start(self, trainer: Any, module: Any) -> None:
        self.read = tokens_read(module.policy)
        Clock.taken = []
        Clock.stopwatch.take()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Rollouts, index: int) -> None:
        seconds = Clock.stopwatch.take()
        learned, self.read = tokens_read(module.policy) - self.read, tokens_read(module.policy)
        counts = DecodeStats.of(batch.decoding)
        policy, expert = (
            2 * sum(parameter.numel() for parameter in model.parameters()) if model is not None else 0
            for model in (module.policy, module.models.expert)
        )
        prefill = policy * (counts.prefill_tokens - counts.expert_prefill_tokens)
        flops = {
            "policy decoding": policy * counts.policy_tokens,
            "expert verification": expert * counts.expert_tokens,
            "prefill": prefill + expert * counts.expert_prefill_tokens,
            "update: forward, loss": policy * learned,
            "update: backward": 2 * policy * learned,
        }
        mixed = batch.gate_weights.sum(1) > 0
        among = counts.rates() | {"response tokens": float(counts.tokens), "lost, modelled": 0.0}
        if mixed.any():
            tokens = batch.response_lengths[mixed].sum()
            replaced = float(batch.replaced[mixed].sum() / tokens)
            # on a CPU a forward is a step, and policy rollouts, all at once, take as many as the longest has tokens
            forwards = counts.policy_forwards - int(batch.response_lengths[~mixed].max())
            drafts = max(1, round(forwards / max(1, counts.expert_calls)))
            among |= {"mean w": float(batch.gate_weights[mixed].sum() / tokens), "replaced": replaced}
            among["look-ahead"] = float(drafts)
            among["lost, modelled"] = float(tokens) / counts.tokens * (drafts / kept(drafts, replaced) - 1)
        Clock.taken.append((seconds, flops, among))


def steps(case: Case, side: str, warmup: int, count: int, device: str) -> Measured:
    """Run `warmup + count` steps of one side and take the last `count` apart; in a process of its own.

    Raises:
        RuntimeError: where the run fails.
    """
    Clock.stopwatch = Stopwatch(device)
    Clock.stopwatch.watch_training()
    options = {
        "trainer.accelerator": "gpu" if device.startswith("cuda") else "cpu",
        "trainer.logger": False,
        "trainer.enable_checkpointing": False,
        "trainer.enable_progress_bar": False,
        "trainer.callbacks": [{"class_path": f"{__name__}.Clock"}],
        "data.steps": warmup + count,
        **case.options,
    }
    if SIDES[side] == "grpo":
        del options["model.expert"]
    if device.startswith("cuda"):
        options["trainer.precision"] = "bf16-mixed"
    configs = [CONFIGS / "quickstart.yaml", CONFIGS / "algorithms" / f"{SIDES[side]}.yaml"]
    words = [word for config in configs for word in ("--config", str(config))]
    words += [f"--{key}={one if isinstance(one, str) else json.dumps(one)}" for key, one in options.items()]
    with measured(device) as memory:
        if status := main(["fit", *words]):
            raise RuntimeError(f"mentor fit ends with status {status}: mentor fit {' '.join(words)}")
    timed = Clock.taken[warmup:]
    by_part = [{part: median(one[0][kind].get(part, 0.0) for one in timed) for part in PARTS} for kind in (0, 1)]
    flops, decode = ({name: fmean(one[k].get(name, 0.0) for one in timed) for name in timed[0][k]} for k in (1, 2))
    return Measured(*by_part, memory.peak, decode.pop("response tokens"), flops, decode)
