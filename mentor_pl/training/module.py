"""The LightningModule: owns policy and frozen expert, and learns from a batch of rollouts in several optimizer steps.

One `training_step` is one batch of rollouts: advantages [10], [11] → mini-batches (an optimizer step each) →
micro-batches → log-probabilities → loss [9] divided by the mini-batch's global token count → backward → clip → step.

Shapes: N rollouts = P prompts × G, M rollouts of a mini-batch, T response tokens.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mentor_pl.algorithms.parts.advantages import Advantage, MentorAdvantage
from mentor_pl.algorithms.parts.gates import EntropyGate, Gate
from mentor_pl.algorithms.parts.losses.base import Loss, LossInputs
from mentor_pl.algorithms.parts.losses.clipped import ClippedSurrogate
from mentor_pl.models.loading import Models, ModelSource, load_expert, load_policy, shared_vocabulary
from mentor_pl.models.prefix_sharing import prefix_sharing
from mentor_pl.runtime.errors import DivergenceError, UsageError
from mentor_pl.runtime.logging import log_once
from mentor_pl.runtime.parallel import all_max, all_sum, check_trainer, shard, world_size
from mentor_pl.training.batching import micro_batches, mini_batches
from mentor_pl.types import Rollouts


def largest_gap(logprobs: Tensor, old_logprobs: Tensor, mask: Tensor) -> Tensor:
    """max |log π − log π_old| over response tokens: [B, T], [B, T], [B, T] -> scalar."""
    return (logprobs - old_logprobs).abs().masked_fill(~mask, 0).max()


class MentorModule(L.LightningModule):
    """Policy, frozen expert, and the update. A method is a choice of gate, advantage and loss.

    Args:
        policy: model folder, Hub name, or JSON file of a model configuration (random weights).
        expert: likewise, over the same token ids; none for methods without one.
        gate: when the expert is asked; by default `EntropyGate`, equation [6].
        advantage: rewards to advantages; by default `MentorAdvantage`, equations [10] and [11].
        loss: by default `ClippedSurrogate`, equation [9].
        optimizer: from parameters to an optimizer.
        alpha: weight of mixed-policy advantages at the start; `callbacks.AlphaDecay` moves it.
        warmup_steps: optimizer steps over which the learning rate rises from 0.
        mini_batches: optimizer steps per batch of rollouts.
        micro_batch_tokens: tokens in one forward and backward pass, a prompt counted once for those that share it.
            Attention alone works on whole rollouts, so with long prompts and short responses it needs more memory.
        recompute_logprobs: take log π_old from a forward pass of training, before the first update, instead of from
            sampling. It costs one more forward; `train/logprob_gap` shows whether it is needed.
        max_grad_norm: gradients are scaled down to this norm.
        gradient_checkpointing: recompute activations in the backward pass: slower, far less memory.
        trust_remote_code: whether Python code that comes with a model may run.

    `train/logprob_gap` is the largest difference, over response tokens and ranks, between log π_old as sampled and as a
    forward pass of training gives it at the weights that sampled: of the first mini-batch, which is passed through
    anyway, or of all rollouts where they are recomputed. In 32-true it is rounding, about 1e-5. Sampling keeps the
    log-probabilities of what it draws from, after temperature, top_p and top_k; training knows the temperature alone.
    So under a filter the gap is −log of the least mass kept, and infinite where the expert says what the policy's
    filter drops.

    Raises:
        UsageError: for settings that cannot work and for models that cannot be paired; before weights are loaded.
    """

    def __init__(
        self,
        policy: str,
        expert: str | None = None,
        gate: Gate | None = None,
        advantage: Advantage | None = None,
        loss: Loss | None = None,
        optimizer: OptimizerCallable = lambda params: torch.optim.AdamW(params, lr=1e-6, weight_decay=0.01),
        alpha: float = 1.0,
        warmup_steps: int = 0,
        mini_batches: int = 2,
        micro_batch_tokens: int = 16384,
        recompute_logprobs: bool = False,
        max_grad_norm: float = 1.0,
        gradient_checkpointing: bool = False,
        trust_remote_code: bool = False,
    ) -> None:
        super().__init__()
        if alpha < 0:
            raise UsageError(f"model.alpha is {alpha}, but it weighs advantages: give 0 or a positive number")
        for name, value in (("mini_batches", mini_batches), ("micro_batch_tokens", micro_batch_tokens)):
            if value < 1:
                raise UsageError(f"model.{name} is {value}: give at least 1")
        if max_grad_norm <= 0:
            raise UsageError(f"model.max_grad_norm is {max_grad_norm}: give a positive number, inf for no clipping")
        self.automatic_optimization = False  # one batch of rollouts is several optimizer steps
        self.policy_source = ModelSource(policy, "policy", trust_remote_code)
        self.expert_source = ModelSource(expert, "expert", trust_remote_code) if expert else None
        self.tokenizer, self.vocabulary = shared_vocabulary(self.policy_source, self.expert_source)
        self.gate = gate if gate is not None else EntropyGate()
        self.advantage = advantage if advantage is not None else MentorAdvantage()
        self.loss = loss if loss is not None else ClippedSurrogate()
        self.optimizer = optimizer
        self.alpha = alpha
        self.warmup_steps, self.mini_batches, self.micro_batch_tokens = warmup_steps, mini_batches, micro_batch_tokens
        self.recompute_logprobs = recompute_logprobs
        self.max_grad_norm, self.gradient_checkpointing = max_grad_norm, gradient_checkpointing
        self.policy: Any = None
        # a tuple hides the expert from the module tree, so from checkpoints, the optimizer and train()/eval()
        self._expert: tuple[Any | None] = (None,)

    @property
    def has_expert(self) -> bool:
        return self.expert_source is not None

    @property
    def models(self) -> Models:
        return Models(self.policy, self._expert[0], self.tokenizer, self.vocabulary)

    def configure_model(self) -> None:
        if self.policy is not None:
            return
        check_trainer(self.trainer, self.device_mesh)
        device = self.trainer.strategy.root_device
        half = str(self.trainer.precision).startswith("bf16")
        self.policy = load_policy(self.policy_source, self.gradient_checkpointing)
        if self.device_mesh is not None:
            shard(self.policy, self.device_mesh["data_parallel"], torch.bfloat16 if half else None)
        if self.expert_source is not None:
            self._expert = (load_expert(self.expert_source, torch.bfloat16 if half else torch.float32).to(device),)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LambdaLR]]:
        optimizer = self.optimizer(self.policy.parameters())
        warmup = LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / (self.warmup_steps + 1)))
        return [optimizer], [warmup]

    def training_step(self, rollouts: Rollouts, batch_idx: int) -> None:
        self._assert_current(rollouts)
        started = time.perf_counter()
        groups = (-1, rollouts.group_size)
        advantages = self.advantage(
            rollouts.rewards.view(groups), rollouts.mixed.view(groups), rollouts.alpha, rollouts.reward_range
        ).flatten()  # [N]
        batches = mini_batches(len(rollouts), rollouts.group_size, self.mini_batches)
        gaps, updates = [], []
        if self.recompute_logprobs:
            rollouts, gap = self._rescore(rollouts, batches)
            gaps.append(gap)
        for rows in batches:
            means, gap = self._accumulate_gradients(rollouts, advantages, rows)
            updates.append(means | {"grad_norm": self._update(rollouts.step, means)})
            gaps.append(gap)
        facts = {f"train/{name}": float(torch.stack([u[name] for u in updates]).mean()) for name in updates[0]}
        facts["train/logprob_gap"] = float(gaps[0])  # later ones compare with weights that did not sample
        facts |= {"train/alpha": rollouts.alpha, "time/update": time.perf_counter() - started}
        facts["train/response_tokens"] = float(all_sum(rollouts.response_lengths.sum()))
        facts |= {f"time/{part}": seconds for part, seconds in rollouts.seconds.items()}
        facts |= {f"decode/{name}": count for name, count in rollouts.decoding.items()}
        late = [part.sum() for name, part in rollouts.reward_parts.items() if name.split("_")[0] == "timeout"]
        if late:
            facts["reward/timeouts"] = float(all_sum(torch.stack(late).sum()))
        log_once(self.trainer, facts, step=rollouts.step + 1)
        self.log_dict(facts, logger=False, batch_size=1)  # for callbacks that monitor one of them
        self.log("α", rollouts.alpha, prog_bar=True, logger=False, batch_size=1)

    def _assert_current(self, rollouts: Rollouts) -> None:
        if rollouts.policy_updates != self.trainer.global_step:
            raise RuntimeError(
                f"rollouts of step {rollouts.step} were sampled after {rollouts.policy_updates} optimizer steps, but "
                f"the policy has seen {self.trainer.global_step}: the loader must be sized, so that nothing is "
                "fetched ahead"
            )

    def _passes(self, rollouts: Rollouts, rows: Tensor) -> Iterator[tuple[Tensor, float]]:
        """The micro-batches of a mini-batch `rows` [M]: rows [B] of each, and the weight 1.

        Sharded ranks must run equally many passes: one that has run out repeats its last, at weight 0.
        """
        prompts, responses = rollouts.prompt_lengths[rows], rollouts.response_lengths[rows]
        batches = [
            rows[places] for places in micro_batches(prompts, responses, rollouts.group_size, self.micro_batch_tokens)
        ]
        for i in range(int(all_max(torch.tensor(len(batches), device=self.device)))):
            yield batches[min(i, len(batches) - 1)], 1.0 if i < len(batches) else 0.0

    @torch.no_grad()
    def _rescore(self, rollouts: Rollouts, batches: Sequence[Tensor]) -> tuple[Rollouts, Tensor]:
        """The rollouts with log π_old as the updates' own passes compute it, and how far sampling's are from that."""
        logprobs = rollouts.logprobs.clone()
        for mini_batch in batches:
            for rows, _ in self._passes(rollouts, mini_batch):
                values, _ = self._logprobs(rollouts, rows)
                logprobs[rows, : values.shape[1]] = values
        gap = largest_gap(logprobs, rollouts.logprobs, rollouts.mask)
        return replace(rollouts, logprobs=logprobs), all_max(gap)

    def _accumulate_gradients(
        self, rollouts: Rollouts, advantages: Tensor, rows: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Gradients of the loss over the global mini-batch whose share here are `rows` [M].

        Returns:
            the mini-batch's means for the log, and the largest |log π_θ − log π_old| of its tokens.
        """
        mask = rollouts.mask[rows]  # [M, T]
        weight, tokens = all_sum(torch.stack([self.loss.weight(mask), mask.sum()]))
        sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self.device))
        gap = torch.zeros((), device=self.device)
        for some, share in self._passes(rollouts, rows):
            inputs = self._score(rollouts, advantages, some)
            output = self.loss(inputs)
            # ranks' gradients are averaged, while the loss is a sum over them
            with prefix_sharing(self.policy):  # for layers that run again on the way back
                self.manual_backward(output.total * (share * world_size() / weight))
            sums["loss"] += share * output.total.detach() * (tokens / weight)
            sums["entropy"] += share * inputs.entropies.detach().sum()
            gap = torch.maximum(gap, largest_gap(inputs.logprobs.detach(), inputs.old_logprobs, inputs.mask))
            for name, value in output.token_sums.items():
                sums[name] += share * value
        totals = all_sum(torch.stack(list(sums.values()))) / tokens
        return dict(zip(sums, totals, strict=True)), all_max(gap)

    def _logprobs(self, rollouts: Rollouts, rows: Tensor) -> tuple[Tensor, Tensor]:
        """log π_θ and entropies of the rollouts `rows` [B], up to the longest of them."""
        longest = int(rollouts.response_lengths[rows].max())
        values: tuple[Tensor, Tensor] = self.policy.token_logprobs(
            rollouts.prompt_ids[rows],
            rollouts.prompt_lengths[rows],
            rollouts.response_ids[rows, :longest],
            rollouts.response_lengths[rows],
            vocab_size=self.vocabulary.size,
            temperature=rollouts.temperature,
        )
        return values

    def _score(self, rollouts: Rollouts, advantages: Tensor, rows: Tensor) -> LossInputs:
        """The rollouts `rows` [B] as the current policy sees them."""
        logprobs, entropies = self._logprobs(rollouts, rows)
        longest = logprobs.shape[1]
        return LossInputs(
            logprobs=logprobs,
            entropies=entropies,
            old_logprobs=rollouts.logprobs[rows, :longest],
            advantages=advantages[rows],
            mask=rollouts.mask[rows, :longest],
            mixed=rollouts.mixed[rows],
        )

    def _update(self, step: int, means: dict[str, Tensor]) -> Tensor:
        """One optimizer step; the gradient's norm before clipping.

        Raises:
            DivergenceError: where loss or gradient is no number; the weights are then as they were.
        """
        optimizer, warmup = cast(LightningOptimizer, self.optimizers()), cast(LambdaLR, self.lr_schedulers())
        norm = clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        norm = norm.full_tensor() if isinstance(norm, DTensor) else norm
        if not torch.isfinite(norm + means["loss"]):
            seen = ", ".join(f"{name} {value.item():.4g}" for name, value in means.items())
            raise DivergenceError(
                f"step {step}: loss or gradient is no number (grad_norm {norm.item():.4g}, {seen}): the weights were "
                "not touched; resume from the last checkpoint with a lower learning rate"
            )
        optimizer.step()
        optimizer.zero_grad()
        warmup.step()
        return norm

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Nothing by itself: `callbacks.BenchmarkValidation` does the work of `mentor validate`."""

    def test_step(self, batch: int, batch_idx: int) -> None:
        """Likewise for `mentor test`."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mentor"] = {"alpha": self.alpha, "gate": self.gate.state_dict()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.alpha = checkpoint["mentor"]["alpha"]
        self.gate.load_state_dict(checkpoint["mentor"]["gate"])
        # a finished run can be resumed with more steps: whether there is a next batch is the loader's to say
        checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]["is_last_batch"] = False
