"""Supervised pre-training of the testbed's two models: a shared trunk, then base and expert from it.

The trunk learns from drills what both need: to say where a move leads, to check a goal, to try again, to copy the last
attempt into the box. Drills open with a marker of their own, so the base keeps these skills and yet, on a problem,
almost never uses the last three of them before it answers. Loss = mean cross-entropy of the response tokens, the stop
token included; AdamW with a short warm-up and a cosine to zero.

Shapes: B sequences, T tokens.
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from mentor_pl.rewards.maze import Maze
from mentor_pl.testbed.problems import BASE, DRILL, DRILLS, EXPERT, Style, Ways, solution
from mentor_pl.testbed.tokenizer import EOS, MAX_LENGTH, PAD, VOCABULARY

BATCH = 64
STEPS = {"trunk": 1_000, "base": 400, "expert": 700}  # optimizer steps at scale 1
WARM_UP = 50  # optimizer steps
IGNORED = -100  # label of tokens without loss

Sequences = list[tuple[list[int], list[int]]]  # token ids, and labels of the same length


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """A Llama of about 110,000 parameters with fresh weights, ReLU and tied embeddings.

    The architecture must be one for which AutoTokenizer trusts the tokenizer that lies in the folder: next to a Qwen2
    configuration it would read any tokenizer as Qwen2's and silently drop every word of ours.
    """
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2 * MAX_LENGTH,
        hidden_act="relu",
        initializer_range=0.05,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    return LlamaForCausalLM(config)


def sequences(
    mazes: Sequence[Maze], style: Style, count: int, tokenizer: PreTrainedTokenizerFast, seed: int, drill: bool = False
) -> Sequences:
    """`count` encoded demonstrations over `mazes` in turn, each ended by the stop token, as ids and labels."""
    rng = random.Random(seed)
    vocabulary = tokenizer.get_vocab()
    made: Sequences = []
    for index in range(count):
        maze = mazes[index % len(mazes)]
        prompt = [*([DRILL] if drill else []), *maze.text().split()]
        response = [*solution(Ways(maze), style, rng).split(), EOS]
        ids = [vocabulary[word] for word in prompt + response]
        made.append((ids, [IGNORED] * len(prompt) + ids[len(prompt) :]))
    return made


def collate(batch: Sequences, pad_id: int) -> tuple[Tensor, Tensor]:
    """Token ids [B, T], padded on the right, and labels [B, T] that ignore prompts and padding."""
    longest = max(len(ids) for ids, _ in batch)
    inputs = torch.full((len(batch), longest), pad_id)
    labels = torch.full((len(batch), longest), IGNORED)
    for row, (ids, targets) in enumerate(batch):
        inputs[row, : len(ids)] = torch.tensor(ids)
        labels[row, : len(ids)] = torch.tensor(targets)
    return inputs, labels


def batches(data: Sequences, count: int, seed: int) -> Iterator[Sequences]:
    """`count` random batches whose sequences are of like length, so that little of a batch is padding."""
    rng = random.Random(seed)
    size = min(BATCH, len(data))
    waiting: list[Sequences] = []
    for _ in range(count):
        if not waiting:
            drawn = sorted(rng.sample(data, min(8 * size, len(data))), key=lambda sequence: len(sequence[0]))
            waiting = [drawn[first : first + size] for first in range(0, len(drawn) - size + 1, size)]
            rng.shuffle(waiting)
        yield waiting.pop()


def train(
    model: LlamaForCausalLM,
    data: Sequences,
    steps: int,
    lr: float,
    seed: int,
    progress: Callable[[float], None] = lambda loss: None,
) -> list[float]:
    """Train `model` in place for `steps` batches drawn from `data` and return the loss of each, in nats per token.

    Right padding needs no attention mask: causal attention never looks at what follows a token.

    Args:
        progress: called after every step with its loss.
    """
    pad_id = VOCABULARY.index(PAD)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), weight_decay=0.01)
    warm_up = min(WARM_UP, max(1, steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, 0.5 * (1 + math.cos(math.pi * step / steps)))
    )
    losses: list[float] = []
    model.train()
    for batch in batches(data, steps, seed):
        inputs, labels = collate(batch, pad_id)
        logits = model(input_ids=inputs, use_cache=False).logits  # [B, T, V]
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        progress(losses[-1])
    model.eval()
    return losses


def pretrain(
    tokenizer: PreTrainedTokenizerFast,
    mazes: Sequence[Maze],
    seed: int = 0,
    scale: float = 1.0,
    progress: Callable[[str, float], None] = lambda stage, loss: None,
) -> tuple[LlamaForCausalLM, LlamaForCausalLM]:
    """Train the trunk, then the base and the expert from copies of it.

    Args:
        mazes: the problems to make demonstrations of; never the held-out ones.
        scale: multiplies the steps and the demonstrations of every stage (see `stage_steps`).
        progress: called after every step with the stage's name and the step's loss.

    Returns:
        The base and the expert, in float32 and eval mode.
    """
    steps = stage_steps(scale)

    def demonstrations(style: Style, count: int, salt: int, drill: bool = False) -> Sequences:
        first = salt * 4_001 % len(mazes)
        return sequences(
            [*mazes[first:], *mazes[:first]], style, math.ceil(count * scale), tokenizer, seed + salt, drill
        )

    def run(stage: str, model: LlamaForCausalLM, data: Sequences, lr: float) -> None:
        train(model, data, steps[stage], lr, seed, lambda loss: progress(stage, loss))

    trunk = build_model(tokenizer, seed)
    drills = demonstrations(DRILLS, 32_000, 1, drill=True)
    run("trunk", trunk, drills, 3e-3)
    base, expert = copy.deepcopy(trunk), copy.deepcopy(trunk)
    run("base", base, demonstrations(BASE, 16_000, 2) + drills[: math.ceil(12_000 * scale)], 1e-3)
    run("expert", expert, demonstrations(EXPERT, 32_000, 3), 2e-3)
    return base, expert


def stage_steps(scale: float = 1.0) -> dict[str, int]:
    """Optimizer steps of each stage at this scale, at least one."""
    return {stage: max(1, round(steps * scale)) for stage, steps in STEPS.items()}
