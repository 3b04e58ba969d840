"""Drafting: the rows being decoded, and the one-token step of the policy that lengthens all of them.

Everything a step needs and leaves behind is a tensor of fixed size on the device: no step waits for the host, and on a
GPU a step is recorded once and replayed. Rows live in slots; the first A slots are in use. A row that has ended or
waits for the expert is fed again without effect until the host syncs.

Shapes: N rollouts of the call, R slots, A slots in use, T response tokens at most, D positions that drafts may be ahead
of the expert, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mentor_pl.algorithms.parts.gates import Drafted
from mentor_pl.decoding.engine.compiling import compiled
from mentor_pl.decoding.engine.guidance import Guidance
from mentor_pl.decoding.engine.model_runner import ModelRunner
from mentor_pl.decoding.engine.one_pass import drafts, is_plain, usable
from mentor_pl.decoding.engine.slots import Slots
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.models.attention import spans
from mentor_pl.models.vocabulary import Vocabulary


class OutputBuffers:
    """What is known of every token of N rollouts; row N takes what idle rows write.

    `context` has one column more in front, the prompt's last token: column t is what is fed to get token t.
    """

    def __init__(self, rollouts: int, limit: int, device: torch.device) -> None:
        def table(dtype: torch.dtype, columns: int = limit) -> Tensor:
            return torch.zeros(rollouts + 1, columns, dtype=dtype, device=device)

        self.context = table(torch.int64, limit + 1)
        # side by side, so that a step writes them at once
        self.values = torch.zeros(rollouts + 1, limit, 3, device=device)
        self.logprobs, self.entropies, self.weights = self.values.unbind(-1)
        self.guided, self.replaced = table(torch.bool), table(torch.bool)
        self.fallen = table(torch.int64)  # drafts in whose place another token stands
        self.margins, self.divergences = table(torch.float32), table(torch.float32)


class Drafts:
    """R slots with a rollout in each.

    Args:
        runner: the policy.
        keys: [N] int64, noise keys of the call's rollouts.
        mixed: [N] bool, rollouts that the guidance is for.
        sampling: temperature, filters, maximum length.
        vocabulary: V and the stop ids.
        guidance: the blend, which drafts wait for the expert, and D; none for on-policy rollouts.
        torch_compile: whether tokens are drawn through `torch.compile`, where temperature alone is asked for.
    """

    def __init__(
        self,
        runner: ModelRunner,
        keys: Tensor,
        mixed: Tensor,
        sampling: SamplingParams,
        vocabulary: Vocabulary,
        guidance: Guidance | None,
        torch_compile: bool = False,
    ) -> None:
        self.runner, self.sampling, self.guidance = runner, sampling, guidance
        device, slots = runner.device, runner.pages.slots
        fast = torch_compile and is_plain(sampling) and not usable(sampling, device)
        self.draw = compiled(drafts, "the draw of a token", device) if fast else drafts
        self.size = vocabulary.size
        self.stops = torch.tensor(vocabulary.stop_ids)  # on the CPU, for the host
        self.stop_ids = self.stops.to(device)
        self.buffers = OutputBuffers(len(keys), sampling.max_new_tokens, device)
        self.idle_row = len(keys)
        self.keys = torch.cat([keys, keys.new_zeros(1)])  # [N + 1]
        self.mixed = torch.cat([mixed, mixed.new_zeros(1)]).to(device)  # [N + 1]

        def column(value: int = 0, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.full((slots,), value, dtype=dtype, device=device)

        self.rollout = column(self.idle_row)  # which of the call's rollouts lives in the slot
        self.prompt = column(1)  # tokens of its prompt
        self.limit = column(1)  # tokens its response may have
        self.place = column()  # tokens its response has, drafts included
        self.token = column()  # the last of them, or of the prompt
        self.pending = column()  # drafts that wait for the expert
        self.drafting = column(dtype=torch.bool)  # neither ended nor waiting behind a stop token or the limit
        # the policy's logits at the last D places of every slot; one slot more takes what idle rows write
        self.logits: Tensor | None = None

    def step(self, rows: int, width: int) -> None:
        """Draft one token for each of the first `rows` slots that is drafting.

        Args:
            rows: A.
            width: places of the cache that are read, at least the greatest place that is fed plus 1.
        """
        drafting, place = self.drafting[:rows], self.place[:rows]
        read = self.runner.step(self.token[:rows], self.prompt[:rows] - 1 + place, width)  # [A, W]
        logits = read[:, : self.size]
        rollout = torch.where(drafting, self.rollout[:rows], self.idle_row)
        column = torch.where(drafting, place, 0)
        token, *values, coins = self.draw(
            read, self.keys[rollout], column, self.sampling, self.size, self.guidance is not None
        )
        if coins is not None:
            slot = torch.where(drafting, torch.arange(rows, device=logits.device), self.runner.pages.slots)
            weights, waits = self._mark(logits, values[1], coins, rollout, column, slot)
            self.pending[:rows] += drafting & waits
            values.append(weights)
        self._write(rollout, column, token, values)

        self.token[:rows] = torch.where(drafting, token, self.token[:rows])
        self.place[:rows] += drafting
        self.drafting[:rows] = drafting & ~self.ends(token, column + 1, self.limit[:rows])

    def step_guessed(self, slots: Tensor, starts: Tensor, guesses: Sequence[Sequence[int]]) -> tuple[int, int]:
        """Draft for each of `slots` the token that comes next, and those behind it as far as they were guessed right.

        Noise is keyed by position, so a token is the same one whether its predecessors were drafted or guessed: what is
        kept is what `step` would have drafted, one token after the other.

        Args:
            slots: [B] int64 on the CPU, all of them drafting.
            starts: [B] int64 on the CPU, places at which their last tokens are fed.
            guesses: B lists of tokens.

        Returns:
            how many tokens were guessed, and how many guesses were right.
        """
        counts = torch.tensor([1 + len(some) for some in guesses])
        device = self.token.device
        guessed = torch.tensor([token for some in guesses for token in (0, *some)], device=device)  # [T], T = Σ counts
        first = counts.cumsum(0) - counts  # [B]
        guessed[first.to(device)] = self.token[slots.to(device)]
        logits = self.runner.forward(guessed, slots, starts, counts, torch.arange(len(guessed)))[:, : self.size]
        owner, offset = slots.repeat_interleave(counts).to(device), spans(torch.zeros_like(counts), counts).to(device)
        rollout, column = self.rollout[owner], self.place[owner] + offset
        token, *values, coins = drafts(
            logits, self.keys[rollout], column, self.sampling, self.size, self.guidance is not None
        )
        over = self.ends(token, column + 1, self.limit[owner])
        wrong = (over | (token != guessed.roll(-1))).cpu()  # what follows was fed another token, or nothing follows
        wrong[first + counts - 1] = True
        index = torch.arange(len(guessed))
        row = torch.arange(len(counts)).repeat_interleave(counts)
        last = torch.full_like(counts, len(guessed)).scatter_reduce(0, row[wrong], index[wrong], "amin")  # [B]
        kept = (index <= last[row]).nonzero().squeeze(1).to(device)
        owner, rollout, column, token = owner[kept], rollout[kept], column[kept], token[kept]
        values = [value[kept] for value in values]
        if coins is not None:
            weights, waits = self._mark(logits[kept], values[1], coins[kept], rollout, column, owner)
            self.pending.index_add_(0, owner, waits.long())
            values.append(weights)
        self._write(rollout, column, token, values)
        self.place.index_add_(0, owner, torch.ones_like(owner))
        ends, places = last.to(device), slots.to(device)
        self.token[places] = self.buffers.context[self.rollout[places], self.place[places]]
        self.drafting[places] = ~over[ends]
        return len(guessed) - len(counts), len(kept) - len(counts)

    def _write(self, rollout: Tensor, column: Tensor, token: Tensor, values: Sequence[Tensor]) -> None:
        self.buffers.values[rollout, column, : len(values)] = torch.stack(list(values), -1)
        self.buffers.context[rollout, column + 1] = token

    def _mark(
        self, logits: Tensor, entropies: Tensor, coins: Tensor, rollout: Tensor, column: Tensor, slot: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Note which drafts are guided, and keep the logits that the expert's will be compared with: w, waiting; [A].

        Args:
            slot: whose logits they are; R for those that nobody will ask for.
        """
        assert self.guidance is not None
        mixed = self.mixed[rollout]
        drafted = Drafted(entropies, column, self.keys[rollout])
        weights = self.guidance.blend.weights(drafted).where(mixed, 0)
        guided = coins <= weights
        self.buffers.guided[rollout, column] = guided
        depth = self.guidance.schedule.look_ahead
        if self.logits is None:
            self.logits = logits.new_empty(self.runner.pages.slots + 1, depth, self.size)
        self.logits[slot, column % depth] = logits
        return weights, mixed if self.guidance.every else guided

    def logits_at(self, slots: Tensor, places: Tensor) -> Tensor:
        """The policy's logits at pending drafts, [F], [F] -> [F, V]."""
        assert self.logits is not None
        return self.logits[slots, places % self.logits.shape[1]]

    def ends(self, tokens: Tensor, lengths: Tensor, limits: Tensor) -> Tensor:
        """Whether responses of `lengths` [·] whose last token is `tokens` [·] are over, [·] bool."""
        return (tokens[:, None] == self.stop_ids).any(-1) | (lengths >= limits)

    def assign(self, requests: Tensor, last: Tensor) -> None:
        """Put rollouts into slots: `requests` as in `Slots.assign`, `last` [·] the last tokens of their prompts."""
        slots, rollouts, prompts, limits, places, last = self._put(*requests, last)
        self.buffers.context[rollouts, 0] = last
        self.rollout[slots], self.prompt[slots], self.limit[slots] = rollouts, prompts, limits
        self.place[slots], self.token[slots] = places, self.buffers.context[rollouts, places]
        self.pending[slots], self.drafting[slots] = 0, True

    def sync(self, table: Slots) -> None:
        """Let the host know how far the rows have come: the one wait for the device."""
        used = table.used
        state = torch.stack([self.place[:used], self.pending[:used], self.drafting[:used].long()]).cpu()
        table.place[:used], table.pending[:used], table.drafting[:used] = state

    def settle(self, slots: Tensor) -> None:
        """No draft of `slots` is pending any more."""
        self.pending[self._put(slots)[0]] = 0

    def replace(
        self, slots: Tensor, rollouts: Tensor, lengths: Tensor, drafting: Tensor, ids: Tensor, logprobs: Tensor
    ) -> None:
        """End rows of `lengths` with the tokens `ids` in place of their drafts; `logprobs` is log π_θ there."""
        slots, rollouts, lengths, drafting = self._put(slots, rollouts, lengths, drafting)
        to = self.buffers
        to.fallen[rollouts, lengths - 1] = to.context[rollouts, lengths]
        to.context[rollouts, lengths], to.logprobs[rollouts, lengths - 1] = ids, logprobs
        to.replaced[rollouts, lengths - 1] = True
        self.place[slots], self.token[slots], self.drafting[slots] = lengths, ids, drafting.bool()

    def move(self, sources: Tensor, targets: Tensor, used: int) -> None:
        """Let the rollouts of the slots `sources` live in `targets`, as in `Slots.move`, and nothing from `used` on."""
        if self.logits is not None:
            for source, target in zip(sources.tolist(), targets.tolist(), strict=True):  # all at once is a copy of them
                self.logits[target] = self.logits[source]
        sources, targets = self._put(sources, targets)
        for column in (self.rollout, self.prompt, self.limit, self.place, self.token, self.pending, self.drafting):
            column[targets] = column[sources]
        self.rollout[used:], self.drafting[used:], self.pending[used:] = self.idle_row, False, 0
        self.prompt[used:], self.place[used:] = 1, 0  # within the width of any step that has more slots than are used

    def _put(self, *columns: Tensor) -> Tensor:
        """Columns of the host's in one transfer."""
        return torch.stack(columns).to(self.token.device, non_blocking=True)
