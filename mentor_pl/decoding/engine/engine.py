"""The decoding engine: continuous batching over ragged caches, for rollouts of the policy and of the mixture alike.

Prompts are read once for all rollouts that share them; every rollout then enters with its prompt's last token. Rows
draft in lockstep (`drafting`), the expert settles their pending drafts when the schedule says so (`verifying`), and a
row that has ended is replaced by the next rollout that waits (`scheduler.py`).

Shapes: N rollouts of the call, R slots, A rows in use, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mentor_pl.decoding.engine.bucketed_spans import BucketedForward
from mentor_pl.decoding.engine.cuda_graphs import Replayed
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.finished import finished
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.lookahead import PRIOR_DRAFTS, PRIOR_REPLACED, AcceptanceStats, LookaheadState
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.ngrams import guess
from mentor_pl.decoding.engine.pages import PageTable
from mentor_pl.decoding.engine.scheduler import Scheduler
from mentor_pl.decoding.engine.settling import Settling
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.engine.timings import Execution, ForwardTimings, remembered_timings
from mentor_pl.decoding.engine.verify import Verifier
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Samples
from mentor_pl.decoding.text.making import text_verifier
from mentor_pl.models.loading import Models
from mentor_pl.models.packed_weights import is_mostly_packed, packed_weights
from mentor_pl.runtime import signals
from mentor_pl.runtime.activity import activity
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import ExpertPrompt

GUESSES = 16  # tokens that a row with guesses is lengthened by at most
STRIDE = 8  # draft steps between two syncs for rows that have ended, where a sync is a wait


class Engine:
    """One call: N prompts in, N rollouts out.

    Args:
        models: policy, expert and vocabulary.
        prompts: N lists of token ids.
        keys: [N] int64 noise keys.
        sampling: temperature, filters, maximum length.
        guidance: how the expert takes part; none for on-policy rollouts.
        rows: rollouts decoded at a time, at most.
        cache_tokens: places of each model's cache, over all rows; more rows than fit wait.
        page_tokens: places of a page; 0 for pages as long as a row.
        ngram_rows: rows in use up to which the next tokens are guessed; 0 for none.
        mixed: [N] rollouts in which the expert takes part; by default all, where there is guidance.
        limits: maximum length of each rollout; by default `sampling.max_new_tokens` for all.
        on_end: called with a rollout's index and ids as soon as it has ended.
        cuda_graphs: whether a GPU replays recorded steps.
        torch_compile: whether the policy's one-token forward and its draws are compiled.
        timings: rows at a time -> what forwards over them take, as far as it is known; what is measured is added.
        alternatives: how many of the likeliest tokens are kept of each guided one.
        expert_prompts: [N] what an expert with ids of its own reads in the prompts' place.
        heal: whether such an expert goes back before its last token.

    Raises:
        UsageError: where one rollout does not fit the cache or a model's window, or a limit exceeds the maximum length.
    """

    def __init__(
        self,
        models: Models,
        prompts: Sequence[Sequence[int]],
        keys: Tensor,
        sampling: SamplingParams,
        guidance: Guidance | None,
        *,
        rows: int,
        cache_tokens: int,
        page_tokens: int = 0,
        ngram_rows: int = 0,
        mixed: Sequence[bool] | None = None,
        limits: Sequence[int] | None = None,
        on_end: Callable[[int, list[int]], None] | None = None,
        cuda_graphs: bool = True,
        torch_compile: bool = False,
        timings: dict[int, ForwardTimings] | None = None,
        alternatives: int = 0,
        expert_prompts: Sequence[ExpertPrompt] | None = None,
        heal: bool = False,
    ) -> None:
        self.models, self.sampling, self.guidance, self.on_end = models, sampling, guidance, on_end
        self.ngram_rows, self.prompts, self.torch_compile = ngram_rows, prompts, torch_compile
        self.compiles_forward = torch_compile and not is_mostly_packed(models.policy)  # compiled weights are not packed
        if not all(self.prompts) or len(keys) != len(self.prompts):
            raise ValueError(
                f"{len(keys)} keys for {len(self.prompts)} prompts, the shortest of {min(map(len, prompts))} "
                "tokens: give every prompt a key, and a token at least"
            )
        self.limits = list(limits) if limits is not None else [sampling.max_new_tokens] * len(prompts)
        if not 1 <= min(self.limits) <= max(self.limits) <= sampling.max_new_tokens:
            raise UsageError(
                f"limits of rollouts range from {min(self.limits)} to {max(self.limits)}, but each lies between 1 and "
                f"max_new_tokens = {sampling.max_new_tokens}: lower the limits or raise max_new_tokens"
            )
        longest = max(len(prompt) + limit for prompt, limit in zip(self.prompts, self.limits, strict=True))
        device = models.device
        self.pages = PageTable.fitting(len(prompts), longest, rows, cache_tokens, page_tokens, device)
        self._check(longest, cache_tokens)
        self.runners = [ModelRunner(models.policy, self.pages, self.compiles_forward)]
        every = torch.tensor([True] * len(prompts) if mixed is None else list(mixed))
        self.drafts = Drafts(
            self.runners[0], keys.to(device), every, sampling, models.vocabulary, guidance, torch_compile
        )
        self.verifier: Settling | None = None
        self.on_gpu, replay = device.type == "cuda", device.type == "cuda" and cuda_graphs
        if guidance is not None and models.text_expert is not None:
            given = expert_prompts if expert_prompts is not None else []
            self.verifier = text_verifier(models, self.drafts, guidance, self.prompts, given, cache_tokens, heal)
        elif guidance is not None:
            self.runners.append(ModelRunner(models.expert, self.pages))
            recorded = BucketedForward(self.runners[1]) if replay else None
            self.verifier = Verifier(self.runners[1], self.drafts, guidance, alternatives, recorded)
        self.graphs = Replayed(self.drafts.step, self.pages.slots, longest) if replay else None
        self.step = self.graphs or self.drafts.step
        self.stats, self.timings = DecodeStats(), timings if timings is not None else {}
        self.scheduler = Scheduler(self.prompts, self.limits, self.pages, self.runners, self.drafts, self.stats)
        self.table = self.scheduler.table
        self.acceptance = AcceptanceStats()
        self.age = self.drafts_since_call = 0

    def _check(self, longest: int, cache_tokens: int) -> None:
        if not self.pages.slots:
            raise UsageError(
                f"sampler cache_tokens is {cache_tokens}, but prompt and response of one rollout may take {longest} "
                "tokens: raise cache_tokens or lower max_new_tokens"
            )
        alike = self.guidance is not None and self.models.text_expert is None
        experts = [("expert", self.models.expert)] if alike else []
        for role, model in [("policy", self.models.policy), *experts]:
            window = getattr(getattr(model, "config", None), "max_position_embeddings", None)
            if window is not None and longest > window:
                raise UsageError(
                    f"prompt and response may take {longest} tokens, but the {role} attends to {window} at most: "
                    "lower max_new_tokens or leave out long prompts"
                )

    def run(self) -> Samples:
        """Decode them all; call with gradients off.

        Raises:
            Stopped: where a signal asks for it.
        """
        models = [model for model in (self.models.policy, self.models.expert) if model is not None]
        with cached_attention(*models), packed_weights(*(models[1:] if self.compiles_forward else models)):
            if self.guidance is not None:
                self.guidance.schedule.begin(self.pages.slots, self._timings)
            self.scheduler.admit()
            while self.table.used:
                signals.check()
                guessing = self.table.used <= self.ngram_rows and not self.scheduler.waiting
                steps = self._steps(guessing)
                if self._reserve(steps):
                    with self.stats.timed("drafting"):
                        (self._draft_guessed if guessing else self._draft)(steps)
                if self._due():
                    self._settle()
                ended = self.table.ended()
                if len(ended):
                    self._retire(ended)
        self.stats.graphed = self.graphs.replays if self.graphs is not None else 0
        kept = self.verifier.kept if self.verifier is not None else None
        return finished(self.drafts, self.scheduler.lengths, kept, self.stats)

    def _steps(self, guessing: bool) -> int:
        """Tokens by which rows are lengthened at most before the host looks again."""
        if self.guidance is None or not (guessing or self.on_gpu):
            return GUESSES if guessing else STRIDE if self.on_gpu else 1
        schedule = self.guidance.schedule
        return max(1, min(GUESSES if guessing else schedule.stride, schedule.look_ahead - self.age))

    def _reserve(self, steps: int) -> bool:
        """See that every row has pages for so many more tokens, where need be those of the newest rows.

        False where pending drafts had to be settled first, after which rows may have ended.
        """
        while not self.scheduler.reserve(steps):
            if self.age:
                self._settle()
                return False
            self._forget([self.scheduler.preempt()])
        return True

    def _draft(self, steps: int) -> None:
        """Lengthen every row that is drafting."""
        table = self.table
        width, before = table.width(), table.place[: table.used].clone()
        # with an idle slot beside it, since of one row `torch.compile` makes a graph of its own
        rows = max(table.used, min(2, self.pages.slots)) if self.torch_compile else table.used
        for i in range(steps):
            self.step(rows, min(width + i, self.pages.length))
        drafted = int(self._sync(before, steps).sum())
        self.stats.idle += steps * table.used - drafted
        self._wait(steps)

    def _draft_guessed(self, most: int) -> None:
        """Lengthen every row that is drafting by a token at least, and by up to `most` where guesses are right."""
        table, context = self.table, self.drafts.buffers.context
        slots = table.drafting[: table.used].nonzero().squeeze(1)
        if not len(slots):
            return
        before, guesses = table.place[: table.used].clone(), []
        for slot in slots.tolist():
            rollout, place = int(table.rollout[slot]), int(table.place[slot])
            said = [*self.prompts[rollout], *context[rollout, 1 : place + 1].tolist()]
            guesses.append(guess(said, min(most, int(table.limit[slot]) - place) - 1))
        counts = self.drafts.step_guessed(slots, (table.prompt - 1 + table.place)[slots], guesses)
        self.stats.guessed, self.stats.guessed_right = (
            self.stats.guessed + counts[0],
            self.stats.guessed_right + counts[1],
        )
        self._wait(int(self._sync(before, 1).max()))

    def _sync(self, before: Tensor, forwards: int) -> Tensor:
        """See how far rows of `before` tokens have come by so many forwards of the policy: tokens drafted, [A]."""
        table = self.table
        self.drafts.sync(table)
        come = table.place[: table.used] - before
        drafted = int(come.sum())
        self.drafts_since_call += drafted
        activity.sampled(drafted)
        self.stats.policy_forwards += forwards
        self.stats.policy_tokens += forwards * table.used
        return come

    def _wait(self, steps: int) -> None:
        """Pending drafts, where there are any, are older by so many tokens."""
        if self.age or bool(self.table.pending[: self.table.used].any()):
            self.age += steps

    def _due(self) -> bool:
        """Whether the expert is to be called: where it must be, or where the schedule says so."""
        if self.guidance is None or not self.age:
            return False
        schedule, used = self.guidance.schedule, self.table.used
        state = LookaheadState(
            age=self.age,
            pending=self.table.pending[:used],
            drafting=self.table.drafting[:used].bool(),
            acceptance=self.acceptance,
            slowest=self._slowest,
        )
        return schedule.due(state) or self.age >= schedule.look_ahead or not state.drafting.any()

    def _slowest(self) -> float:
        return 0.0 if self.scheduler.waiting else self.table.max_rejection_rate(PRIOR_REPLACED, PRIOR_DRAFTS)

    def _settle(self) -> None:
        """Have the expert settle every pending draft."""
        if not self.scheduler.expert_prefilled:
            self.scheduler.prefill_expert()
        with self.stats.timed("verifying"):
            self._verify()

    def _verify(self) -> None:
        assert self.verifier is not None
        result = self.verifier(self.table)
        self.acceptance.add(self.drafts_since_call, result.scored_positions, result.replaced)
        self.age = self.drafts_since_call = 0
        self.stats.expert_calls += result.calls
        self.stats.expert_tokens += result.tokens
        self.stats.scored_positions += result.scored_positions
        self.stats.expert_rows += result.rows
        self.stats.rolled_back += result.rolled_back
        activity.sampled(-result.rolled_back)
        self.stats.padding += result.padding

    def _retire(self, ended: Tensor) -> None:
        """Hand over the rollouts of the slots `ended` and fill their places."""
        rollouts, places = self.table.rollout[ended], self.table.place[ended]
        self.scheduler.lengths[rollouts] = places
        self._forget(rollouts.tolist())
        if self.on_end is not None:
            for rollout, length in zip(rollouts.tolist(), places.tolist(), strict=True):
                self.on_end(rollout, self.drafts.buffers.context[rollout, 1 : length + 1].tolist())
        self.scheduler.admit(ended.tolist())

    def _forget(self, rollouts: Sequence[int]) -> None:
        if self.verifier is not None:
            self.verifier.forget(rollouts)

    def _timings(self) -> ForwardTimings:
        models, rows = self.models, self.pages.slots
        if rows not in self.timings:
            how = Execution(0 if self.pages.whole else self.pages.size, self.graphs is not None, self.compiles_forward)
            self.timings[rows] = remembered_timings(models.policy, models.expert, rows, models.device, how)
        return self.timings[rows]
