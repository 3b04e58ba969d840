"""What crosses rooms: a prompt, a rollout to be made, and a batch of rollouts on its way to training.

Shapes: N rollouts of P groups, T response tokens, S tokens of a context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

Trace = tuple[int, ...]  # a whole response of an expert, the stop token included


@dataclass(frozen=True)
class Prompt:
    """One problem, rendered for the policy.

    Attributes:
        index: the problem's place in its data set; it keys the sampling noise.
        problem: the problem as the data set words it.
        answer: the reference that rewards compare with.
        token_ids: the prompt exactly as the models see it.
        response_prefix: the part of the response that the prompt template has already written (often empty). Rewards
            that look at the whole response put it in front.
        metadata: the row's other columns.
        demonstrations: responses of an expert to this problem, for the methods that train on them.
        traces: the demonstrations as response tokens, a stop token at the end, where the method reads them.
    """

    index: int
    problem: str
    answer: str
    token_ids: tuple[int, ...]
    response_prefix: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    demonstrations: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True)
class ExpertPrompt:
    """What an expert with a tokenizer of its own reads before what is sampled of a response.

    Attributes:
        ids: the problem by the expert's template and tokenizer.
        text: what the response begins with: what the policy's template has written of it, and tokens that are given.
    """

    ids: tuple[int, ...]
    text: str = ""


class Origin(IntEnum):
    """Who speaks in a rollout."""

    POLICY = 0  # every token is drawn from π_θ
    MIXTURE = 1  # tokens are drawn from the algorithm's blend of π_θ and π*
    DEMONSTRATION = 2  # the response is given


@dataclass(frozen=True)
class Row:
    """A rollout to be made, or given.

    Attributes:
        prompt: what is graded; rows of one prompt are a group.
        context: what the policy reads; a hint is in here, and is not graded.
        number: place in the group; with the prompt it keys the sampling noise.
        origin: who speaks.
        given: response tokens that are not sampled: a demonstration, or a prefix of one.
        complete: nothing is sampled behind `given`.
        probe: it is sampled and graded for the method to look at, and nobody learns from it.
    """

    prompt: Prompt
    context: tuple[int, ...]
    number: int
    origin: Origin = Origin.POLICY
    given: tuple[int, ...] = ()
    complete: bool = False
    probe: bool = False


@dataclass(frozen=True)
class Response:
    """What a model answered to a prompt, as rewards are given it.

    Attributes:
        text: without the stop token; what the prompt template has already written (`Prompt.response_prefix`) is not in
            it.
        tokens: its ids, the stop token included; empty where only the text is known, as of samples on disk.
        truncated: the length limit came before a stop token.
    """

    text: str
    tokens: tuple[int, ...] = ()
    truncated: bool = False


@dataclass(frozen=True)
class Alternatives:
    """What could have stood at guided tokens: the k likeliest tokens of π_θ, π* and π_mix, in this order, at A tokens.

    Ordered by rollout, then by position.
    """

    rows: Tensor  # [A] int64, the rollout
    positions: Tensor  # [A] int64, the token's place in its response
    ids: Tensor  # [A, 3, k] int32, the likeliest first
    probabilities: Tensor  # [A, 3, k] float32

    def at(self, rows: Tensor) -> Alternatives:
        """Those of the rollouts `rows` [n] int64, which are numbered anew, 0 … n − 1, in their order."""
        rows = rows.to(self.rows.device)
        count = max(int(column.max()) + 1 if len(column) else 0 for column in (rows, self.rows))
        numbers = torch.full((count,), -1, device=rows.device).index_put((rows,), torch.arange(len(rows)).to(rows))
        new = numbers[self.rows]
        kept = (new >= 0).nonzero().squeeze(1)
        kept = kept[new[kept].argsort(stable=True)]
        return Alternatives(new[kept], self.positions[kept], self.ids[kept], self.probabilities[kept])

    def to(self, device: torch.device | str) -> Alternatives:
        """The same on `device`."""
        return Alternatives(*(column.to(device) for column in vars(self).values()))

    @staticmethod
    def joined(parts: Sequence[tuple[Alternatives | None, int]]) -> Alternatives | None:
        """Those of several batches of rollouts, each with the number of its rollouts; none where no batch has any."""
        found, before = [], 0
        for part, count in parts:
            if part is not None:
                found.append(replace(part, rows=part.rows + before))
            before += count
        if not found:
            return None
        return Alternatives(*(torch.cat(columns) for columns in zip(*(vars(p).values() for p in found), strict=True)))


@dataclass(frozen=True)
class Rollouts:
    """P groups of rollouts, rows ordered by group, then by number. Groups may differ in size.

    Everything a token was sampled with is kept as it was sampled, so training needs no second pass over π_old.
    """

    prompt_ids: Tensor  # [N, S] int64, right-padded; the rows' contexts
    prompt_lengths: Tensor  # [N] int64
    response_ids: Tensor  # [N, T] int64, right-padded
    response_lengths: Tensor  # [N] int64; the stop token counts
    group: Tensor  # [N] int64, 0 … P − 1; rollouts of one problem share it
    origin: Tensor  # [N] int64, an `Origin`
    logprobs: Tensor  # [N, T] float32, log π_old of each response token
    entropies: Tensor  # [N, T] float32, H_t in nats
    gate_weights: Tensor  # [N, T] float32, the expert's share by the blend, such as w_t; 0 where nothing was mixed
    guided: Tensor  # [N, T] bool, the token is the expert's: its coin came up, or without coins its draft fell
    replaced: Tensor  # [N, T] bool, the token differs from the policy's draft
    given: Tensor  # [N, T] bool, the token was not sampled
    train_mask: Tensor  # [N, T] bool, tokens that are trained on
    truncated: Tensor  # [N] bool, the length limit came before a stop token
    rewards: Tensor  # [N] float32; NaN: the rollout is not graded, and left out of whatever is learned
    reward_parts: Mapping[str, Tensor]  # name -> [N] float32
    reward_range: float  # span of the rewards, R_range of equation [11]
    temperature: float
    alpha: float  # weight of the mixed advantages when the rollouts were sampled
    gamma: float  # γ_p in force; inf where nothing was guided
    step: int  # rollout batches before this one
    policy_updates: int  # optimizer steps that the sampling weights had seen
    margins: Tensor | None = None  # [N, T] float32, difference of π_θ's two greatest probabilities; 0 as below
    divergences: Tensor | None = None  # [N, T] float32, KL(π* ‖ π_θ) in nats; 0 where a blend did not ask for it
    max_tokens: int = 0  # that a response may have
    expert_logprobs: Tensor | None = None  # [N, T] float32, log π* of each response token, where a method needs it
    reference_logprobs: Tensor | None = None  # [N, T] float32, log π_ref, likewise
    problems: Tensor | None = None  # [N] int64, the prompt's index
    seconds: Mapping[str, float] = field(default_factory=dict)  # part of the work -> wall time
    decoding: Mapping[str, int] = field(default_factory=dict)  # what decoding cost, a `DecodeStats` count by name
    counts: Mapping[str, int] = field(default_factory=dict)  # how problems came to be drawn, name -> on this rank
    texts: tuple[str, ...] = ()  # [N] decoded responses
    without_verdict: int = 0  # rollouts that are not graded, or whose reward stands in for a verdict
    numbers: Tensor | None = None  # [N] int64, place in the group; with the problem it keys the sampling noise
    drafts: Tensor | None = None  # [N, T] int64, the policy's draft; the token itself where it stood
    alternatives: Alternatives | None = None  # at guided tokens, where they were asked for and there are any

    def __len__(self) -> int:
        return self.prompt_ids.shape[0]

    @property
    def mask(self) -> Tensor:
        """[N, T] bool: True on response tokens, the stop token included."""
        steps = torch.arange(self.response_ids.shape[1], device=self.response_ids.device)
        return steps < self.response_lengths[:, None]

    @property
    def drawn(self) -> Tensor:
        """[N, T] bool: response tokens that the policy drew, neither given nor guided."""
        return self.mask & ~self.given & ~self.guided

    @property
    def graded(self) -> Tensor:
        """[N] bool: rollouts that have a reward."""
        return ~self.rewards.isnan()

    @property
    def only_graded(self) -> Rollouts:
        """Those that have a reward."""
        return self if self.graded.all() else self.only(self.graded)

    def only(self, rows: Tensor) -> Rollouts:
        """Those of the rollouts that `rows` [N] bool marks. Groups keep their numbers; some may be empty."""
        columns: dict[str, Any] = {
            f.name: getattr(self, f.name)[rows] for f in fields(self) if isinstance(getattr(self, f.name), Tensor)
        }
        columns["reward_parts"] = {name: part[rows] for name, part in self.reward_parts.items()}
        columns["texts"] = tuple(text for text, row in zip(self.texts, rows.tolist(), strict=False) if row)
        if self.alternatives is not None:
            columns["alternatives"] = self.alternatives.at(rows.nonzero().squeeze(1))
        return replace(self, **columns)

    def to(self, device: torch.device | str) -> Rollouts:
        """The same rollouts with every tensor on `device`."""
        moved: dict[str, Any] = {
            f.name: getattr(self, f.name).to(device) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)
        }
        moved["reward_parts"] = {name: part.to(device) for name, part in self.reward_parts.items()}
        if self.alternatives is not None:
            moved["alternatives"] = self.alternatives.to(device)
        return replace(self, **moved)
