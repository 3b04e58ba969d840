"""The data module: problems in, rollouts of the live policy out, step by step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, Literal, cast

import lightning.pytorch as L
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from transformers import PreTrainedTokenizerBase

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler
from mentor_pl.problems.prompts import PAPER_SYSTEM_PROMPT, LoadedPrompts, load_prompts, render, with_traces
from mentor_pl.problems.selection import Selection
from mentor_pl.rewards.base import Grading, Reward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.runtime import signals
from mentor_pl.runtime.collectives import all_objects, rank
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.progress import progress_bar
from mentor_pl.runtime.ranges import check, check_seed
from mentor_pl.runtime.signals import Stopped
from mentor_pl.training.checkpoints import save_and_leave
from mentor_pl.training.collect import Learner, collect
from mentor_pl.training.drawing import Further, generator, prompts_of_step
from mentor_pl.training.dynamic_sampling import DynamicSampling
from mentor_pl.training.loader import RolloutLoader
from mentor_pl.training.pools import DifficultyPools, success_shares
from mentor_pl.training.process_state import random_states, restore_random
from mentor_pl.types import Prompt, Rollouts


class RolloutDataModule(L.LightningDataModule):
    """Produces on-policy and mixed-policy rollouts each step, from the current weights.

    Args:
        train: problems with answers: a file (JSON lines, JSON, Parquet), a folder, or a name on the Hub, `owner/name`.
        steps: rollout batches of the run.
        prompts_per_step: problems of a step, over all ranks.
        sampling: temperature, filters, maximum response length.
        sampler: decoder; by default `Coin`, which asks the expert at guided tokens alone.
        reward: grader; by default the paper's 0.9 · outcome + 0.1 · format for mathematics.
        on_failure: what becomes of a response that the reward could not grade. `error`: the run ends; `zero`: the
            reward's lowest total; `mask`: it is left out of group statistics, loss and denominators. By default an
            error, except where the reward has put a total of its own in place, as `MathReward` does of answers over
            their time.
        grading_timeout: seconds by the clock that one call of a reward's `grade` may take, and for which no grade may
            come while some are waited for.
        system_prompt: put before every problem; null for none.
        max_prompt_tokens: problems with longer prompts are left out.
        min_prompt_tokens: problems with shorter prompts are left out.
        select: which rows become problems, and which columns hold what.
        template: plain text with `{system}` and `{problem}`, in place of the policy's chat template; a policy without
            one has a plain template by default.
        dynamic_sampling: draw further problems in place of those whose group has no signal.
        pools: draw easy, normal and hard problems in fixed shares, in place of epochs.
        seed: of problem order and sampling noise; by default `seed_everything`'s.

    Raises:
        UsageError: for settings that cannot work, and in `setup` for data that cannot.
    """

    def __init__(
        self,
        train: str,
        steps: int = 200,
        prompts_per_step: int = 128,
        sampling: SamplingParams = SamplingParams(max_new_tokens=8192),  # noqa: B008 (frozen)
        sampler: Sampler | None = None,
        reward: Reward | None = None,
        on_failure: Literal["error", "zero", "mask"] | None = None,
        grading_timeout: float = 600.0,
        system_prompt: str | None = PAPER_SYSTEM_PROMPT,
        max_prompt_tokens: int = 1024,
        min_prompt_tokens: int = 1,
        select: Selection = Selection(),  # noqa: B008 (frozen)
        template: str | None = None,
        dynamic_sampling: DynamicSampling | None = None,
        pools: DifficultyPools | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        check("data.steps", steps, at_least=1)
        check("data.prompts_per_step", prompts_per_step, at_least=1)
        check("data.min_prompt_tokens", min_prompt_tokens, at_least=0)
        shortest = f"min_prompt_tokens is {min_prompt_tokens}"
        check("data.max_prompt_tokens", max_prompt_tokens, at_least=max(1, min_prompt_tokens), because=shortest)
        check_seed("data.seed", seed)
        if sampling.temperature == 0:
            raise UsageError("data.sampling.temperature is 0, but equal rollouts teach nothing: give a positive one")
        self.train, self.steps, self.prompts_per_step = train, steps, prompts_per_step
        self.sampling = sampling
        self.sampler = sampler if sampler is not None else Coin()
        self.reward = reward if reward is not None else PaperReward()
        self.reward.check_range()
        self.grading = Grading(grading_timeout, on_failure)
        self.system_prompt, self.template, self.select = system_prompt, template, select
        self.min_prompt_tokens, self.max_prompt_tokens = min_prompt_tokens, max_prompt_tokens
        self.seed = seed if seed is not None else int(os.environ.get("PL_GLOBAL_SEED", 0))
        self.dynamic_sampling, self.pools = dynamic_sampling, pools
        self.shares: dict[int, float] = {}  # problem -> what share of its last rollouts succeeded, where pools ask
        self.problems: LoadedPrompts | None = None
        # step -> how many of the likeliest tokens are kept of each guided one; callbacks that record them set it
        self.alternatives: Callable[[int], int] = lambda step: 0

    @property
    def learner(self) -> Learner:
        assert self.trainer is not None
        return cast(Learner, self.trainer.lightning_module)

    def setup(self, stage: str) -> None:
        if stage != TrainerFn.FITTING or self.problems is not None:
            return
        assert self.trainer is not None
        learner, world = self.learner, self.trainer.world_size
        updates = f"each of model.mini_batches = {learner.mini_batches} updates needs a problem"
        check("data.prompts_per_step", self.prompts_per_step, at_least=learner.mini_batches, because=updates)
        if self.prompts_per_step < world:
            rank_zero_warn(
                f"data.prompts_per_step is {self.prompts_per_step}, fewer than the {world} processes, so some of them "
                "sample nothing: raise it, or start fewer"
            )
        if self.dynamic_sampling is not None:
            self.dynamic_sampling.check(learner.algorithm)
        longest = self.max_prompt_tokens + self.sampling.max_new_tokens
        if longest > learner.vocabulary.window:
            raise UsageError(
                f"max_prompt_tokens + max_new_tokens = {longest}, but the models attend to {learner.vocabulary.window} "
                "tokens at most: lower one of the two"
            )
        self.problems = self._with_traces(self.load(learner.tokenizer))
        for line in self.problems.filter_report.lines(self.train):
            rank_zero_info(line)
        count = len(self.problems.prompts)
        if count < self.prompts_per_step:
            raise UsageError(
                f"{self.train} has {count} usable problems, fewer than data.prompts_per_step = "
                f"{self.prompts_per_step}: lower it or give more problems"
            )

    def load(self, tokenizer: PreTrainedTokenizerBase) -> LoadedPrompts:
        """The prompts to train on, and the report on what was left out."""
        with progress_bar(f"reading {self.train}", shown=rank() == 0) as progress:
            return load_prompts(
                self.train,
                tokenizer,
                self.system_prompt,
                self.max_prompt_tokens,
                select=self.select,
                template=self.template,
                min_prompt_tokens=self.min_prompt_tokens,
                progress=progress,
            )

    def _with_traces(self, loaded: LoadedPrompts) -> LoadedPrompts:
        """The prompts with their traces, where the algorithm reads them."""
        algorithm, tokenizer = self.learner.algorithm, self.learner.tokenizer
        if not algorithm.uses_traces:
            return loaded
        stop = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else self.learner.vocabulary.stop_ids[0]
        return with_traces(loaded, tokenizer, stop, self.sampling.max_new_tokens, algorithm.requires_traces)

    def train_dataloader(self) -> RolloutLoader:
        signals.be_careful()  # until training ends: from here on there is something to lose
        return RolloutLoader(self._produce, self.steps)

    def prompts_of_rank(self, step: int) -> list[Prompt]:
        """This rank's share of the step's prompts: they are dealt to ranks in turn."""
        assert self.problems is not None and self.trainer is not None
        places = self._places(step)[self.trainer.global_rank :: self.trainer.world_size]
        return [self.problems.prompts[i] for i in places]

    def _places(self, step: int) -> list[int]:
        assert self.problems is not None
        prompts = self.problems.prompts
        if self.pools is None:
            return prompts_of_step(step, len(prompts), self.prompts_per_step, self.seed)
        shares = [self.shares.get(prompt.index) for prompt in prompts]
        return self.pools.places(shares, self.prompts_per_step, generator(self.seed, step))

    def _further(self, step: int) -> Further:
        assert self.problems is not None and self.trainer is not None
        own, place = self._places(step), {"rank": self.trainer.global_rank, "ranks": self.trainer.world_size}
        return Further(self.problems.prompts, own, seed=self.seed, step=step, **place)

    def _rendered(self, problem: str) -> list[int]:
        """A problem's text as the policy reads it."""
        return render(self.learner.tokenizer, problem, self.system_prompt, self.template)[0]

    def _produce(self, step: int) -> Rollouts:
        """The rollouts of a step. One that is stopped leaves no trace, and the run is saved as it was before it."""
        assert self.trainer is not None
        algorithm = self.learner.algorithm
        before = deepcopy((algorithm.state_dict(), self.sampler.state_dict(), random_states(), self.shares))
        try:
            with self.trainer.precision_plugin.forward_context():
                return self._rollouts(step)
        except Stopped as stopped:
            algorithm.load_state_dict(before[0])
            self.sampler.load_state_dict(before[1])
            restore_random(before[2])
            self.shares = before[3]
            save_and_leave(self.trainer, step, stopped)

    def _rollouts(self, step: int) -> Rollouts:
        """Of the step's problems, and of further ones where some have no signal."""
        prompts, further = self.prompts_of_rank(step), self._further(step)
        pools = self.pools.counts(self.shares, prompts) if self.pools is not None else {}
        sample = partial(self._collected, step, further)
        if self.dynamic_sampling is None:
            rollouts = sample(prompts)
        else:
            rollouts = self.dynamic_sampling(sample, prompts, further.up_to, self.learner.algorithm)
        return replace(rollouts, counts={**rollouts.counts, **pools})

    def _collected(self, step: int, further: Further, prompts: Sequence[Prompt]) -> Rollouts:
        """The algorithm's rounds for `prompts`."""
        assert self.trainer is not None
        rollouts = collect(
            self.learner,
            prompts,
            further,
            lambda text: tuple(self._rendered(text)),
            self.sampler,
            self.sampling,
            self.reward,
            seed=self.seed,
            step=step,
            policy_updates=self.trainer.global_step,
            grading=self.grading,
            alternatives=self.alternatives(step),
        )
        if self.pools is not None:
            self.shares |= success_shares(rollouts, self.reward.range[0])
        return rollouts

    def state_dict(self) -> dict[str, Any]:
        shares = {"shares": dict(self.shares)} if self.pools is not None else {}
        return {"samplers": all_objects(self.sampler.state_dict()), **shares}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        samplers = state_dict["samplers"]
        self.sampler.load_state_dict(samplers[min(rank(), len(samplers) - 1)])
        self.shares = dict(state_dict.get("shares", {}))

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch.to(device) if isinstance(batch, Rollouts) else batch

    def teardown(self, stage: str) -> None:
        self.reward.end(self.grading)
