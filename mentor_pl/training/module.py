"""The LightningModule: owns policy and frozen expert, and learns from a batch of rollouts in several optimizer steps.

One `training_step` is one batch of rollouts: advantages → mini-batches (an optimizer step each) → micro-batches →
log-probabilities → the algorithm's terms, each divided by its own weight over the global mini-batch → backward → clip →
step.

Shapes: N rollouts, M of a mini-batch, B of a micro-batch, T response tokens.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from mentor_pl.algorithms.base import Algorithm, advantages_of
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.base import Term
from mentor_pl.models.loading import Models
from mentor_pl.models.logprobs import tokens_read
from mentor_pl.models.lora import LoRA, trained
from mentor_pl.models.placement import Placement
from mentor_pl.models.source import ModelSource
from mentor_pl.models.text_expert import paired
from mentor_pl.runtime import signals
from mentor_pl.runtime.checkpoint_files import misfits
from mentor_pl.runtime.collectives import together
from mentor_pl.runtime.logging import log_once
from mentor_pl.runtime.ranges import check
from mentor_pl.runtime.signals import Stopped
from mentor_pl.training.adapted_state import leave_out_frozen, refuse_other_adapter
from mentor_pl.training.batching import check_batches, mini_batches
from mentor_pl.training.checkpoints import save_and_leave
from mentor_pl.training.finite_steps import FiniteSteps, means_of
from mentor_pl.training.frozen_models import Frozen, check_expert, load_frozen_models
from mentor_pl.training.importance import check_cap, weighted
from mentor_pl.training.ledger import Ledger
from mentor_pl.training.loader import check_current
from mentor_pl.training.optimizer_placement import OffloadedStates, OptimizerPlacement, check_optimizer_placement
from mentor_pl.training.optimizing import check_lr_schedule, lr_factor, make_optimizer, try_optimizer
from mentor_pl.training.process_state import process_state, restore, set_place
from mentor_pl.training.sampling_gap import SamplingGap
from mentor_pl.training.step_metrics import step_metrics
from mentor_pl.training.trained_policy import load_trained
from mentor_pl.training.trainer_settings import prepare
from mentor_pl.training.update import Update
from mentor_pl.types import Rollouts


class MentorModule(L.LightningModule):
    """Policy, frozen expert, and the update; the method is `algorithm`.

    Args:
        policy: model folder, Hub name, or JSON file of a model configuration (random weights).
        expert: likewise; loaded where the algorithm asks for it. One of another vocabulary guides by its text.
        algorithm: the method; by default `mentor_pl.algorithms.mentor.Mentor`.
        terms: of the loss, added to the method's own, such as a KL to the initial policy.
        expert_placement: of the expert while nobody reads it (`mentor_pl.models.placement`).
        optimizer_placement: of the optimizer's states while rollouts are sampled.
        stop_tokens: all tokens that end a response, such as `<|im_end|>`, in training, on benchmarks and in what is
            exported; by default those of policy and expert together. Name them to train a policy without its expert
            that is to be compared with one under it.
        reference: what algorithms that stay near a reference compare with; by default the policy as it is at the start.
        adapter: to be trained in place of the policy's weights, which are frozen then and in no checkpoint.
        optimizer: from parameters to an optimizer.
        alpha: weight of what the expert teaches at the start; `callbacks.AlphaDecay` moves it.
        warmup_steps: optimizer steps over which the learning rate rises from 0.
        final_lr: share of the learning rate that is left at the run's end; it falls there by a cosine.
        mini_batches: optimizer steps per batch of rollouts.
        micro_batch_tokens: tokens in one forward and backward pass, a prompt counted once for those that share it.
            Attention alone works on whole rollouts, so with long prompts and short responses it needs more memory.
        recompute_logprobs: take log π_old from a forward pass of training, before the first update, instead of from
            sampling. It costs one more forward; `train/sampling_ratio/clipped` shows whether it is needed.
        importance_cap: multiply the advantage of each token that the policy drew by π_old as recomputed over π_old as
            sampled, at most by this; needs `recompute_logprobs`.
        mask_truncated: responses cut off by the length limit are not trained on; in their group's statistics they stay.
        max_grad_norm: gradients are scaled down to this norm.
        gradient_checkpointing: recompute activations in the backward pass: slower, far less memory.
        trust_remote_code: whether Python code that comes with a model may run.

    Raises:
        UsageError: for settings that cannot work and for models that cannot be paired; before weights are loaded.
    """

    def __init__(
        self,
        policy: str,
        expert: str | None = None,
        algorithm: Algorithm | None = None,
        terms: list[Term] | None = None,
        expert_placement: Placement = "replicated",
        optimizer_placement: OptimizerPlacement = "device",
        stop_tokens: list[str] | None = None,
        reference: str | None = None,
        adapter: LoRA | None = None,
        optimizer: OptimizerCallable = lambda params: torch.optim.AdamW(params, lr=1e-6, weight_decay=0.01),
        alpha: float = 1.0,
        warmup_steps: int = 0,
        final_lr: float = 1.0,
        mini_batches: int = 2,
        micro_batch_tokens: int = 16384,
        recompute_logprobs: bool = False,
        importance_cap: float | None = None,
        mask_truncated: bool = False,
        max_grad_norm: float = 1.0,
        gradient_checkpointing: bool = False,
        trust_remote_code: bool = False,
    ) -> None:
        super().__init__()
        check("model.alpha", alpha, at_least=0, because="it weighs advantages")
        check_lr_schedule(warmup_steps, final_lr)
        check_batches(mini_batches, micro_batch_tokens)
        self.automatic_optimization = False  # one batch of rollouts is several optimizer steps
        self.algorithm = algorithm if algorithm is not None else Mentor()
        self.algorithm.added = tuple(terms or ())
        check_cap(importance_cap, recompute_logprobs, self.algorithm)
        self.policy_source = ModelSource(policy, "policy", trust_remote_code)
        self.expert_source = ModelSource(expert, "expert", trust_remote_code) if expert else None
        self.reference_source = ModelSource(reference or policy, "reference", trust_remote_code)
        self.tokenizer, self.vocabulary, self.text_expert = paired(self.policy_source, self.expert_source, stop_tokens)
        self.adapter, self.optimizer = adapter, optimizer
        self.strict_loading = adapter is None  # else a checkpoint lacks what is frozen
        self._alpha, self._alpha_is_moved = alpha, False
        self.warmup_steps, self.final_lr = warmup_steps, final_lr
        self.mini_batches, self.micro_batch_tokens = mini_batches, micro_batch_tokens
        self.recompute_logprobs, self.importance_cap = recompute_logprobs, importance_cap
        self.mask_truncated, self.gradient_checkpointing = mask_truncated, gradient_checkpointing
        self.steps_done = 0  # rollout batches the policy has learned from
        self.ledger = Ledger()
        self._step = FiniteSteps(max_grad_norm)
        self._resumed: dict[str, Any] | None = None
        self.policy: Any = None
        self._frozen, self.expert_placement = Frozen(), expert_placement
        self._offloaded: OffloadedStates | None = None
        self.optimizer_placement = optimizer_placement

    @property
    def alpha(self) -> float:
        """Weight of what the expert teaches, for the rollouts of the coming step."""
        return self._alpha

    @alpha.setter
    def alpha(self, value: float) -> None:
        self._alpha, self._alpha_is_moved = value, True

    @property
    def models(self) -> Models:
        expert, reference, placed = self._frozen
        return Models(self.policy, expert, self.tokenizer, self.vocabulary, reference, placed, self.text_expert)

    def sampling_begins(self) -> None:
        """The optimizer's states make room, where they are to lie elsewhere, until the next update."""
        if self._offloaded is not None:
            self._offloaded.rest()

    def guidance_ends(self) -> None:
        """α is 0 for good: free the expert, unless the method asks it all the same."""
        if self._frozen.expert is not None and not self.algorithm.asks_expert(0.0):
            self._frozen = Frozen(reference=self._frozen.reference)
            rank_zero_info(f"after {self.steps_done} steps α is 0 for good: the expert is freed")

    def configure_callbacks(self) -> list[L.Callback]:
        """None of its own; the first hook that knows the Trainer sees whether it is one to train under."""
        prepare(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        if stage != TrainerFn.FITTING:
            return
        device, world = self.trainer.strategy.root_device, self.trainer.world_size
        check_optimizer_placement(self.optimizer_placement, try_optimizer(self.optimizer), device)
        check_expert(self.algorithm, self.expert_source, self.expert_placement, device, world, self.text_expert)

    def configure_model(self) -> None:
        if self.policy is not None:
            return
        half = str(self.trainer.precision).startswith("bf16")
        device, dtype = self.trainer.strategy.root_device, torch.bfloat16 if half else torch.float32
        how = self.policy_source, dtype, self.gradient_checkpointing, self.adapter
        self.policy = load_trained(self.trainer, self.device_mesh, *how)
        if self.trainer.state.fn == TrainerFn.FITTING:
            sources = self.expert_source, self.reference_source
            self._frozen = load_frozen_models(self.algorithm, *sources, dtype, device, self.expert_placement)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LambdaLR]]:
        optimizer = make_optimizer(self.optimizer, trained(self.policy).values())
        if self.optimizer_placement == "offloaded":
            self._offloaded = OffloadedStates(optimizer, self.device)
        return [optimizer], [LambdaLR(optimizer, self._lr_factor)]

    def _lr_factor(self, step: int) -> float:
        batches = float(self.trainer.num_training_batches)  # infinite until the loader is there, which step 0 needs not
        return lr_factor(step, self.warmup_steps, self.final_lr, batches * self.mini_batches)

    def on_train_start(self) -> None:
        if self.algorithm.uses_alpha and not self._alpha_is_moved:
            rank_zero_info(
                f"no callback has set α, so it stays at {self.alpha} and the expert never leaves: add "
                "callbacks.AlphaDecay to trainer.callbacks"
            )
        if self._resumed is not None:  # as late as can be: setting up models and loaders draws random numbers
            restore(self._resumed, self._optimizer, self._warmup)
            self._resumed = None

    @property
    def _optimizer(self) -> LightningOptimizer:
        return cast(LightningOptimizer, self.optimizers())

    @property
    def _warmup(self) -> LambdaLR:
        return cast(LambdaLR, self.lr_schedulers())

    def training_step(self, rollouts: Rollouts, batch_idx: int) -> dict[str, Tensor]:
        """Learn from a step's rollouts; callbacks are handed the `advantages` [N] or [N, T] that it used."""
        check_current(rollouts, self.trainer.global_step)
        started = time.perf_counter()
        models, terms, size = self.models, self.algorithm.all_terms, self.vocabulary.size
        update = Update(models.policy, models.expert, terms, size, self.micro_batch_tokens, rollouts.alpha)
        batches, steps, sampled = mini_batches(rollouts.group, self.mini_batches), [], rollouts.logprobs
        gap = SamplingGap(self.device, update.clip_range, self.importance_cap)
        unseen: SamplingGap | None = gap  # by a pass at the weights that sampled: the first alone
        if self.recompute_logprobs:
            rollouts, unseen = replace(rollouts, logprobs=update.rescored(rollouts, batches, gap)), None
        advantages = advantages_of(self.algorithm, rollouts)  # [N] or [N, T]
        self.algorithm.observe(rollouts.only_graded)
        if (cap := self.importance_cap) is not None:
            advantages = weighted(advantages, rollouts.logprobs, sampled, cap, rollouts.drawn)
        read = tokens_read(self.policy)
        with models.expert_in_use(update.reads_expert):
            for rows in batches:
                means = update.accumulate_gradients(rollouts, advantages, rows, self.manual_backward, unseen)
                steps.append(means | self._step(self.policy, self._optimizer, self._warmup, means, rollouts.step + 1))
                unseen = None
        self.steps_done = rollouts.step + 1
        metrics = means_of(steps) | gap.metrics() | {"time/update": time.perf_counter() - started}
        metrics |= self.ledger.add(rollouts, self.models, tokens_read(self.policy) - read, metrics["time/update"])
        metrics |= step_metrics(rollouts, advantages if update.needs_advantages else None)
        log_once(self.trainer, metrics, step=rollouts.step + 1)
        self.log_dict(metrics, logger=False, batch_size=1)  # for callbacks that monitor one of them
        if self.algorithm.uses_alpha:
            self.log("α", rollouts.alpha, prog_bar=True, logger=False, batch_size=1)
        return {"advantages": advantages}

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The last hook of a batch: where a signal came meanwhile, everything is complete here."""
        try:
            together(lambda: None, self.device)
        except Stopped as stopped:
            save_and_leave(self.trainer, self.steps_done, stopped)

    def on_train_end(self) -> None:
        signals.be_careless()
        if self._offloaded is not None:
            self._offloaded.come_back()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing by itself: the batch is a benchmark, and `callbacks.BenchmarkValidation` measures it."""

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Likewise for `mentor test`."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["mentor"] = {
            "alpha": self.alpha,
            "algorithm": self.algorithm.state_dict(),
            "step": self.steps_done,
            "skipped": self._step.skipped,
            **process_state(self._optimizer),
        }
        checkpoint["ledger"] = self.ledger.state_dict()
        leave_out_frozen(self.policy, checkpoint)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights.

        Raises:
            UsageError: for those of another model.
        """
        with misfits():
            return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        state = checkpoint["mentor"]
        refuse_other_adapter(self.policy, state)
        self._alpha, self.steps_done, self._step.skipped = state["alpha"], state["step"], state["skipped"]
        self.algorithm.load_state_dict(state["algorithm"])
        self.ledger.load_state_dict(checkpoint["ledger"])
        self._resumed = state
        set_place(checkpoint, self.steps_done)
