"""The decoding engine: continuous batching over ragged caches, for rollouts of the policy and of the mixture alike.

Prompts are read once for all rollouts that share them; every rollout then enters with its prompt's last token. Rows
draft in lockstep (`drafting`), the expert settles their open drafts when the schedule says so (`verifying`), and a row
that has ended is replaced by the next rollout that waits. When none waits, the last row moves into the gap, so that the
rows in use are always the first ones and no forward copies a cache.

Shapes: N rollouts of the call, R slots, A rows in use, T response tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mentor_pl.decoding.engine.cuda_graphs import Replayed
from mentor_pl.decoding.engine.draft import Drafts
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.kv_cache import ragged_attention
from mentor_pl.decoding.engine.lookahead import PRIOR_DRAFTS, PRIOR_REPLACED, Ahead, Experience
from mentor_pl.decoding.engine.model_runner import Reader
from mentor_pl.decoding.engine.prefix_cache import Prefixes
from mentor_pl.decoding.engine.slots import Seats
from mentor_pl.decoding.engine.stats import Statistics
from mentor_pl.decoding.engine.timings import Costs, remembered_costs
from mentor_pl.decoding.engine.verify import Verifier
from mentor_pl.decoding.params import Sampling
from mentor_pl.decoding.sampler import Samples
from mentor_pl.models.loading import Models
from mentor_pl.runtime.errors import UsageError

STRIDE = 8  # draft steps between two looks for rows that have ended, where a look is a wait


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

    Raises:
        UsageError: where one rollout does not fit the cache or a model's window, or a limit exceeds the maximum length.
    """

    def __init__(
        self,
        models: Models,
        prompts: Sequence[Sequence[int]],
        keys: Tensor,
        sampling: Sampling,
        guidance: Guidance | None,
        *,
        rows: int,
        cache_tokens: int,
        limits: Sequence[int] | None = None,
        on_end: Callable[[int, list[int]], None] | None = None,
        cuda_graphs: bool = True,
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
        slots = min(rows, len(prompts), cache_tokens // longest)
        device = models.device
        self.readers = [Reader(models.policy, slots, longest, device)]
        self.drafts = Drafts(self.readers[0], keys.to(device), sampling, models.vocabulary, guidance)
        self.verifier: Verifier | None = None
        if guidance is not None:
            self.readers.append(Reader(models.expert, slots, longest, device))
            self.verifier = Verifier(self.readers[1], self.drafts, guidance)
        self.on_gpu = device.type == "cuda"
        replay = self.on_gpu and cuda_graphs
        self.step = Replayed(self.drafts.step, slots, longest) if replay else self.drafts.step
        self.statistics = Statistics()
        self.lengths = torch.zeros(len(prompts), dtype=torch.int64)
        self.seats = Seats(slots)
        self.seated = 0  # rollouts that have been given a slot; the others wait
        self.prefixes = Prefixes(self.prompts, slots)
        self.experience = Experience()
        self.age = self.drafts_since_call = 0
        self.awake = False  # whether the expert reads prompts: from its first call on, and there may be none

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
        """Decode them all; call with gradients off."""
        with ragged_attention(*(reader.model for reader in self.readers)):
            if self.guidance is not None:
                self.guidance.schedule.begin(self.readers[0].cache.slots, self._costs)
            self._admit(list(range(self.readers[0].cache.slots)))
            while self.seats.used:
                with self.statistics.timed("drafting"):
                    self._draft()
                if self._due():
                    if not self.awake:
                        self._wake()
                    with self.statistics.timed("verifying"):
                        self._verify()
                ended = self.seats.ended()
                if len(ended):
                    self._retire(ended)
        return self._samples()

    def _draft(self) -> None:
        """Lengthen every row that is drafting, by as many tokens as need no look."""
        seats, steps = self.seats, 1
        if self.on_gpu:
            schedule = self.guidance.schedule if self.guidance is not None else None
            steps = STRIDE if schedule is None else max(1, min(schedule.stride, schedule.look_ahead - self.age))
        width, before = seats.width(), int(seats.place[: seats.used].sum())
        for i in range(steps):
            self.step(seats.used, min(width + i, self.readers[0].cache.length))
        self.drafts.look(seats)
        drafted = int(seats.place[: seats.used].sum()) - before
        self.drafts_since_call += drafted
        self.statistics.policy_forwards += steps
        self.statistics.policy_tokens += steps * seats.used
        self.statistics.idle += steps * seats.used - drafted
        if self.age or bool(seats.open[: seats.used].any()):
            self.age += steps

    def _due(self) -> bool:
        """Whether the expert is to be called: where it must be, or where the schedule says so."""
        if self.guidance is None or not self.age:
            return False
        schedule, used = self.guidance.schedule, self.seats.used
        ahead = Ahead(
            age=self.age,
            open=self.seats.open[:used],
            drafting=self.seats.drafting[:used].bool(),
            experience=self.experience,
            slowest=self._slowest,
        )
        return schedule.due(ahead) or self.age >= schedule.look_ahead or not ahead.drafting.any()

    def _slowest(self) -> float:
        waiting = self.seated < len(self.prompts)
        return 0.0 if waiting else self.seats.most_cuts(PRIOR_REPLACED, PRIOR_DRAFTS)

    def _wake(self) -> None:
        """Have the expert read the prompts of the rows in use."""
        rollouts = self.seats.rollout[: self.seats.used].tolist()
        with self.statistics.timed("prefill"):
            self.statistics.prefill_tokens += self.prefixes.catch_up(self.readers[1], rollouts)
        self.awake = True

    def _verify(self) -> None:
        assert self.verifier is not None
        verdict = self.verifier(self.seats)
        self.experience.add(self.drafts_since_call, verdict.heads, verdict.replaced)
        self.age = self.drafts_since_call = 0
        self.statistics.expert_calls += 1
        self.statistics.expert_tokens += verdict.tokens
        self.statistics.expert_heads += verdict.heads
        self.statistics.expert_rows += verdict.rows
        self.statistics.dropped += verdict.dropped
        self.statistics.padding += verdict.padding

    def _retire(self, ended: Tensor) -> None:
        """Hand over the rollouts of the slots `ended` and fill their places."""
        rollouts, places = self.seats.rollout[ended], self.seats.place[ended]
        self.lengths[rollouts] = places
        if self.on_end is not None:
            for rollout, length in zip(rollouts.tolist(), places.tolist(), strict=True):
                self.on_end(rollout, self.drafts.transcript.context[rollout, 1 : length + 1].tolist())
        self._admit(ended.tolist())

    def _admit(self, free: list[int]) -> None:
        """Seat waiting rollouts in the slots `free`; where none waits, close the gaps."""
        newcomers = list(range(self.seated, min(self.seated + len(free), len(self.prompts))))
        self.seated += len(newcomers)
        seating = self.prefixes.seating(free, newcomers)
        if seating:
            with self.statistics.timed("prefill"):
                readers = self.readers if self.awake else self.readers[:1]
                self.statistics.prefill_tokens += self.prefixes.fill(seating, readers)
            prompts = [self.prompts[rollout] for rollout in seating.values()]
            limits = [self.limits[rollout] for rollout in seating.values()]
            # slots, rollouts, lengths of their prompts, limits
            columns = torch.tensor([list(seating), list(seating.values()), list(map(len, prompts)), limits])
            self.seats.take(columns)
            self.drafts.seat(columns, torch.tensor([prompt[-1] for prompt in prompts]))
        if len(seating) < len(free):
            for slot in sorted(set(free) - set(seating), reverse=True):  # from behind, so that what moves is in use
                self._close(slot)

    def _close(self, gap: int) -> None:
        """Let the last row move into a gap, so that the rows in use are the first ones."""
        seats = self.seats
        seats.used -= 1
        last = seats.used
        if last != gap:
            for reader in self.readers:
                reader.cache.copy(last, [gap], int(seats.prompt[last] + seats.place[last]))
            seats.move(last, gap)
            self.drafts.move(last, gap)

    def _costs(self) -> Costs:
        policy, expert = self.readers
        return remembered_costs(policy.model, expert.model, policy.cache.slots, policy.device)

    def _samples(self) -> Samples:
        to, n = self.drafts.transcript, len(self.prompts)
        lengths, longest = self.lengths.to(to.context.device), int(self.lengths.max())
        ids = to.context[:n, 1 : longest + 1]
        spoken = torch.arange(longest, device=ids.device) < lengths[:, None]  # drafts behind the end were dropped
        last = ids.gather(1, lengths[:, None] - 1)
        self.statistics.tokens = int(self.lengths.sum())
        return Samples(
            ids=ids.where(spoken, 0),
            lengths=lengths,
            logprobs=to.logprobs[:n, :longest].where(spoken, 0),
            entropies=to.entropies[:n, :longest].where(spoken, 0),
            gate_weights=to.weights[:n, :longest].where(spoken, 0),
            guided=to.guided[:n, :longest] & spoken,
            replaced=to.replaced[:n, :longest] & spoken,
            truncated=~(last == self.drafts.stop_ids).any(-1),
            statistics=self.statistics,
        )
