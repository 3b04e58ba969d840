"""The decoding engine: continuous batching over ragged caches, for rollouts of the policy and of the mixture alike.

Prompts are read once for all rollouts that share them; every rollout then enters with its prompt's last token. Rows
draft in lockstep (`drafting`), the expert settles their pending drafts when the schedule says so (`verifying`), and a
row that has ended is replaced by the next rollout that waits. When none waits, the last row moves into the gap, so that
the rows in use are always the first ones and no forward copies a cache.

Shapes: N rollouts of the call, R slots, A rows in use, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mentor_pl.decoding.engine.cuda_graphs import Replayed
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.kv_cache import cached_attention
from mentor_pl.decoding.engine.lookahead import PRIOR_DRAFTS, PRIOR_REPLACED, AcceptanceStats, LookaheadState
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.prefix_cache import Prefixes
from mentor_pl.decoding.engine.slots import Slots, slots_for
from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.decoding.engine.timings import ForwardTimings, remembered_timings
from mentor_pl.decoding.engine.verify import Verifier
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.decoding.sampler import Samples
from mentor_pl.models.loading import Models
from mentor_pl.runtime import signals
from mentor_pl.runtime.activity import activity
from mentor_pl.runtime.errors import UsageError

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
        limits: maximum length of each rollout; by default `sampling.max_new_tokens` for all.
        on_end: called with a rollout's index and ids as soon as it has ended.
        cuda_graphs: whether a GPU replays recorded steps.
        timings: rows at a time -> what forwards over them take, as far as it is known; what is measured is added.
        alternatives: how many of the likeliest tokens are kept of each guided one.

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
        limits: Sequence[int] | None = None,
        on_end: Callable[[int, list[int]], None] | None = None,
        cuda_graphs: bool = True,
        timings: dict[int, ForwardTimings] | None = None,
        alternatives: int = 0,
    ) -> None:
        self.models, self.sampling, self.guidance, self.on_end = models, sampling, guidance, on_end
        self.prompts = [list(prompt) for prompt in prompts]
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
        self._check(longest, cache_tokens)
        slots = slots_for(len(prompts), longest, rows, cache_tokens)
        device = models.device
        self.runners = [ModelRunner(models.policy, slots, longest, device)]
        self.drafts = Drafts(self.runners[0], keys.to(device), sampling, models.vocabulary, guidance)
        self.verifier: Verifier | None = None
        if guidance is not None:
            self.runners.append(ModelRunner(models.expert, slots, longest, device))
            self.verifier = Verifier(self.runners[1], self.drafts, guidance, alternatives)
        self.on_gpu = device.type == "cuda"
        self.graphs = Replayed(self.drafts.step, slots, longest) if self.on_gpu and cuda_graphs else None
        self.step = self.graphs or self.drafts.step
        self.stats = DecodeStats()
        self.timings = timings if timings is not None else {}
        self.lengths = torch.zeros(len(prompts), dtype=torch.int64)
        self.table = Slots(slots)
        self.assigned = 0  # rollouts that have been given a slot; the others wait
        self.prefixes = Prefixes(self.prompts, slots)
        self.acceptance = AcceptanceStats()
        self.age = self.drafts_since_call = 0
        self.expert_prefilled = False  # whether the expert reads prompts: from its first call on, and there may be none

    def _check(self, longest: int, cache_tokens: int) -> None:
        if longest > cache_tokens:
            raise UsageError(
                f"sampler cache_tokens is {cache_tokens}, but prompt and response of one rollout may take {longest} "
                "tokens: raise cache_tokens or lower max_new_tokens"
            )
        experts = [("expert", self.models.expert)] if self.guidance is not None else []
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
        with cached_attention(*(runner.model for runner in self.runners)):
            if self.guidance is not None:
                self.guidance.schedule.begin(self.runners[0].cache.slots, self._timings)
            self._admit(list(range(self.runners[0].cache.slots)))
            while self.table.used:
                signals.check()
                with self.stats.timed("drafting"):
                    self._draft()
                if self._due():
                    if not self.expert_prefilled:
                        self._prefill_expert()
                    with self.stats.timed("verifying"):
                        self._verify()
                ended = self.table.ended()
                if len(ended):
                    self._retire(ended)
        return self._samples()

    def _draft(self) -> None:
        """Lengthen every row that is drafting, by as many tokens as need no sync."""
        table, steps = self.table, 1
        if self.on_gpu:
            schedule = self.guidance.schedule if self.guidance is not None else None
            steps = STRIDE if schedule is None else max(1, min(schedule.stride, schedule.look_ahead - self.age))
        width, before = table.width(), int(table.place[: table.used].sum())
        for i in range(steps):
            self.step(table.used, min(width + i, self.runners[0].cache.length))
        self.drafts.sync(table)
        drafted = int(table.place[: table.used].sum()) - before
        self.drafts_since_call += drafted
        activity.sampled(drafted)
        self.stats.policy_forwards += steps
        self.stats.policy_tokens += steps * table.used
        self.stats.idle += steps * table.used - drafted
        if self.age or bool(table.pending[: table.used].any()):
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
        waiting = self.assigned < len(self.prompts)
        return 0.0 if waiting else self.table.max_rejection_rate(PRIOR_REPLACED, PRIOR_DRAFTS)

    def _prefill_expert(self) -> None:
        """Have the expert read the prompts of the rows in use."""
        rollouts = self.table.rollout[: self.table.used].tolist()
        with self.stats.timed("prefill"):
            self._count_prefill([0, self.prefixes.catch_up(self.runners[1], rollouts)])
        self.expert_prefilled = True

    def _count_prefill(self, read: Sequence[int]) -> None:
        """Tokens that the policy has read, and the expert where it has."""
        self.stats.prefill_tokens += sum(read)
        self.stats.expert_prefill_tokens += sum(read[1:])

    def _verify(self) -> None:
        assert self.verifier is not None
        result = self.verifier(self.table)
        self.acceptance.add(self.drafts_since_call, result.scored_positions, result.replaced)
        self.age = self.drafts_since_call = 0
        self.stats.expert_calls += 1
        self.stats.expert_tokens += result.tokens
        self.stats.scored_positions += result.scored_positions
        self.stats.expert_rows += result.rows
        self.stats.rolled_back += result.rolled_back
        activity.sampled(-result.rolled_back)
        self.stats.padding += result.padding

    def _retire(self, ended: Tensor) -> None:
        """Hand over the rollouts of the slots `ended` and fill their places."""
        rollouts, places = self.table.rollout[ended], self.table.place[ended]
        self.lengths[rollouts] = places
        if self.on_end is not None:
            for rollout, length in zip(rollouts.tolist(), places.tolist(), strict=True):
                self.on_end(rollout, self.drafts.buffers.context[rollout, 1 : length + 1].tolist())
        self._admit(ended.tolist())

    def _admit(self, free: list[int]) -> None:
        """Assign waiting rollouts to the slots `free`; where none waits, close the gaps."""
        requests = list(range(self.assigned, min(self.assigned + len(free), len(self.prompts))))
        self.assigned += len(requests)
        assignment = self.prefixes.assignment(free, requests)
        if assignment:
            with self.stats.timed("prefill"):
                runners = self.runners if self.expert_prefilled else self.runners[:1]
                self._count_prefill(self.prefixes.fill(assignment, runners))
            prompts = [self.prompts[rollout] for rollout in assignment.values()]
            limits = [self.limits[rollout] for rollout in assignment.values()]
            # slots, rollouts, lengths of their prompts, limits
            columns = torch.tensor([list(assignment), list(assignment.values()), list(map(len, prompts)), limits])
            self.table.assign(columns)
            self.drafts.assign(columns, torch.tensor([prompt[-1] for prompt in prompts]))
        if len(assignment) < len(free):
            self._close(set(free) - set(assignment))

    def _close(self, gaps: set[int]) -> None:
        """Let the last rows move into the gaps, so that the rows in use are the first ones."""
        table, origins = self.table, dict[int, int]()  # slot -> slot whose row moves there
        for gap in sorted(gaps, reverse=True):  # from behind, so that what moves is in use
            table.used -= 1
            if table.used != gap:
                origins[gap] = origins.pop(table.used, table.used)
        if not origins:
            return
        targets, sources = torch.tensor([list(origins), list(origins.values())])
        lengths = (table.prompt + table.place)[sources].tolist()
        for runner in self.runners:
            for (target, source), length in zip(origins.items(), lengths, strict=True):
                runner.cache.copy(source, [target], length)
        table.move(sources, targets)
        self.drafts.move(sources, targets)

    def _timings(self) -> ForwardTimings:
        policy, expert = self.runners
        rows = policy.cache.slots
        if rows not in self.timings:
            self.timings[rows] = remembered_timings(policy.model, expert.model, rows, policy.device)
        return self.timings[rows]

    def _samples(self) -> Samples:
        to, n = self.drafts.buffers, len(self.prompts)
        lengths, longest = self.lengths.to(to.context.device), int(self.lengths.max())
        ids = to.context[:n, 1 : longest + 1]
        mask = torch.arange(longest, device=ids.device) < lengths[:, None]  # drafts behind the end do not count
        last = ids.gather(1, lengths[:, None] - 1)
        self.stats.tokens = int(self.lengths.sum())
        self.stats.graphed = self.graphs.replays if self.graphs is not None else 0
        guided, replaced = to.guided[:n, :longest] & mask, to.replaced[:n, :longest] & mask
        ids = ids.where(mask, 0)
        kept = self.verifier.kept if self.verifier is not None else None
        return Samples(
            ids=ids,
            lengths=lengths,
            logprobs=to.logprobs[:n, :longest].where(mask, 0),
            entropies=to.entropies[:n, :longest].where(mask, 0),
            gate_weights=to.weights[:n, :longest].where(mask, 0),
            guided=guided,
            replaced=replaced,
            truncated=~(last == self.drafts.stop_ids).any(-1),
            margins=to.margins[:n, :longest].where(mask, 0),
            divergences=to.divergences[:n, :longest].where(mask, 0),
            drafts=to.fallen[:n, :longest].where(replaced, ids),
            alternatives=kept.of(guided) if kept is not None else None,
            stats=self.stats,
        )
