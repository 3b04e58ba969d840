"""One step's rollouts: the algorithm's rounds, sampled and graded, from the policy as it is now.
Algorithm 1's outer loop, for any method.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import torch
from transformers import PreTrainedTokenizerBase

from mentor_pl.algorithms.base import Algorithm, Graded, Rounds, Step
from mentor_pl.algorithms.parts.losses.base import Need
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Sampler, as_response, decoding
from mentor_pl.models.loading import Models
from mentor_pl.models.vocabulary import Vocabulary
from mentor_pl.rewards.base import Grading, Reward
from mentor_pl.runtime.activity import activity
from mentor_pl.runtime.collectives import all_max, together
from mentor_pl.training.assemble import assemble
from mentor_pl.training.rounds import Round
from mentor_pl.training.row_check import RowCheck
from mentor_pl.training.scoring import given_likelihoods, scored
from mentor_pl.types import ExpertPrompt, Prompt, Rollouts, Row


class Learner(Protocol):
    """What rollouts need of the module that learns from them."""

    alpha: float
    algorithm: Algorithm
    mini_batches: int
    micro_batch_tokens: int
    mask_truncated: bool

    def guidance_ends(self) -> None: ...

    def sampling_begins(self) -> None: ...

    @property
    def models(self) -> Models: ...

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase: ...

    @property
    def vocabulary(self) -> Vocabulary: ...


def collect(
    learner: Learner,
    prompts: Sequence[Prompt],
    draw: Callable[[int], list[Prompt]],
    render: Callable[[str], tuple[int, ...]],
    sampler: Sampler,
    sampling: SamplingParams,
    reward: Reward,
    *,
    seed: int,
    step: int,
    policy_updates: int,
    grading: Grading = Grading(),  # noqa: B008 (frozen)
    alternatives: int = 0,
    expert_prompt: Callable[[Row], ExpertPrompt] | None = None,
) -> Rollouts:
    """Run the rounds of the learner's algorithm; every response is graded as its row ends.

    Args:
        learner: owner of the models, the algorithm and α.
        prompts, draw: this rank's share of the step's problems, none where it merely takes part; further ones, for
            algorithms that ask for them.
        render: from a problem's text to the prompt's tokens.
        sampler, sampling: decoder; temperature, filters, maximum length.
        reward: grader of responses.
        seed, step: of the noise; `step` counts the rollout batches before this one.
        policy_updates: optimizer steps the policy has seen; training asserts that it has seen no more.
        grading: how long grades are waited for, and what becomes of responses without one.
        alternatives: how many of the likeliest tokens are kept of each guided one.
        expert_prompt: what an expert with ids of its own reads of a row, where there is such an expert.

    Raises:
        UsageError: for rounds that ask for nothing or for what cannot be (`RowCheck`), for what no grade is, and where
            the reward fails, unless `grading` lets that pass.
        Stopped: on all ranks, where a signal came before the grades were there.
    """
    models, algorithm, clock = learner.models, learner.algorithm, _Clock()
    done: list[Round] = []
    asked = algorithm.mixes(learner.alpha) or Need.EXPERT_LOGPROBS in algorithm.needs
    learner.sampling_begins()
    with decoding(models.policy), models.expert_in_use(asked), activity.step():
        likelihoods = partial(given_likelihoods, models, learner.micro_batch_tokens, sampling.temperature)
        text, room = partial(_text, models), models.vocabulary.window - sampling.max_new_tokens
        rounds = algorithm.rounds(Step(prompts, learner.alpha, step, seed, draw, render, text, room, likelihoods))
        check = RowCheck(algorithm, sampling.max_new_tokens)
        # what the algorithm waits for may fail on one rank alone, and so may what it asks for
        rows = together(lambda: check(_next(rounds, None)), models.device)
        while int(all_max(torch.tensor(rows is not None, device=models.device).long())):
            done.append(Round(rows or [], models, reward, grading, expert_prompt))
            sample = partial(done[-1].sample, sampler, sampling, algorithm, seed=seed, step=step)
            together(partial(sample, alternatives=alternatives), models.device)
            graded = done[-1].graded()
            rows = together(partial(lambda told: check(_next(rounds, told)), graded), models.device)
        clock.lap("sampling")
        together(lambda: check.end(prompts), models.device)
        together(lambda: [one.grades() for one in done], models.device)
        rollouts = assemble(done, algorithm, reward, grading, learner.alpha, sampling, step, policy_updates)
        clock.lap("grading")
        rollouts = scored(models, rollouts, algorithm, learner.micro_batch_tokens)
    clock.lap("scoring")
    kept = rollouts.graded & ~(rollouts.truncated & learner.mask_truncated)
    learned = algorithm.train_mask(rollouts) & kept[:, None]
    return replace(rollouts, train_mask=learned, seconds={**clock.seconds, **rollouts.seconds})


def _text(models: Models, ids: Sequence[int]) -> str:
    return as_response(models, ids).text


class _Clock:
    """Wall seconds of the parts of a step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, part: str) -> None:
        """What has passed since the last part belongs to `part`."""
        last, self.last = self.last, time.perf_counter()
        self.seconds[part] = self.last - last


def _next(rounds: Rounds, graded: Graded | None) -> list[Row] | None:
    """The rows of the next round, or with None of the first; None where the algorithm is done on this rank."""
    try:
        return rounds.send(graded)  # type: ignore[arg-type]
    except StopIteration:
        return None
