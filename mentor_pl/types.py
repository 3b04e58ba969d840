"""What crosses layers: a prompt on its way in, a batch of rollouts on its way to training.

Shapes: P prompts, G rollouts per prompt (a group), N = P·G rollouts, T response tokens, S prompt tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import Tensor


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
    """

    index: int
    problem: str
    answer: str
    token_ids: tuple[int, ...]
    response_prefix: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    demonstrations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rollouts:
    """P groups of G rollouts each, rows ordered by prompt, then by rollout; on-policy rows come first in a group.

    Everything a token was sampled with is kept as it was sampled, so training needs no second pass over π_old.
    """

    prompt_ids: Tensor  # [N, S] int64, right-padded
    prompt_lengths: Tensor  # [N] int64
    response_ids: Tensor  # [N, T] int64, right-padded
    response_lengths: Tensor  # [N] int64; the stop token counts
    logprobs: Tensor  # [N, T] float32, log π_old of each response token
    entropies: Tensor  # [N, T] float32, H_t in nats
    gate_weights: Tensor  # [N, T] float32, w_t; 0 on on-policy rows
    guided: Tensor  # [N, T] bool, the coin came up: the token is a draw from the expert
    replaced: Tensor  # [N, T] bool, the token differs from the policy's draft
    truncated: Tensor  # [N] bool, the length limit came before a stop token
    mixed: Tensor  # [N] bool, sampled from π_mix
    rewards: Tensor  # [N] float32
    reward_parts: Mapping[str, Tensor]  # name -> [N] float32
    group_size: int  # G
    reward_range: float  # span of the rewards, R_range of equation [11]
    temperature: float
    alpha: float  # weight of the mixed advantages when the rollouts were sampled
    gamma: float  # γ_p in force; inf where nothing was guided
    step: int  # rollout batches before this one
    policy_updates: int  # optimizer steps that the sampling weights had seen
    seconds: Mapping[str, float] = field(default_factory=dict)  # part of the work -> wall time
    decoding: Mapping[str, float] = field(default_factory=dict)  # what decoding cost, name -> count per response token
    texts: tuple[str, ...] = ()  # [N] decoded responses

    def __len__(self) -> int:
        return self.prompt_ids.shape[0]

    @property
    def mask(self) -> Tensor:
        """[N, T] bool: True on response tokens, the stop token included."""
        steps = torch.arange(self.response_ids.shape[1], device=self.response_ids.device)
        return steps < self.response_lengths[:, None]

    def to(self, device: torch.device | str) -> Rollouts:
        """The same rollouts with every tensor on `device`."""
        moved: dict[str, Any] = {
            f.name: getattr(self, f.name).to(device) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)
        }
        moved["reward_parts"] = {name: part.to(device) for name, part in self.reward_parts.items()}
        return replace(self, **moved)
