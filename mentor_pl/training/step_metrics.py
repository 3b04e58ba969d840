"""What a step's rollouts say of themselves in the logs, over all ranks.

Shapes: N rollouts, T response tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mentor_pl.decoding.engine.stats import DecodeStats
from mentor_pl.runtime.collectives import all_sum
from mentor_pl.training.groups import have_signal
from mentor_pl.types import Rollouts


def step_metrics(rollouts: Rollouts, advantages: Tensor | None) -> dict[str, float]:
    """α, counts, seconds by part and what decoding cost, by the names that they are logged under; on every rank.

    Args:
        rollouts: of this rank.
        advantages: [N] or [N, T], where nothing is learned without one; the share of groups without any is then said.
    """
    metrics = {"train/alpha": rollouts.alpha}
    metrics["train/response_tokens"] = float(all_sum(rollouts.response_lengths.sum()))
    metrics["train/rollouts"] = float(all_sum(torch.tensor(len(rollouts), device=rollouts.rewards.device)))
    if advantages is not None:
        signal = have_signal(rollouts, advantages)
        without, groups = all_sum(torch.tensor([int((~signal).sum()), len(signal)], device=signal.device)).tolist()
        metrics["train/without_signal"] = without / max(1, groups)
    metrics |= {f"time/{part}": seconds for part, seconds in rollouts.seconds.items()}
    metrics |= {f"decode/{name}": count for name, count in DecodeStats.of(rollouts.decoding).rates().items()}
    timeouts = [part.sum() for name, part in rollouts.reward_parts.items() if name.split("_")[0] == "timeout"]
    if timeouts:
        metrics["reward/timeouts"] = float(all_sum(torch.stack(timeouts).sum()))
    without_verdict = torch.tensor(rollouts.without_verdict, device=rollouts.rewards.device)
    metrics["reward/not_graded"] = float(all_sum(without_verdict))
    if rollouts.counts:
        counts = all_sum(torch.tensor(list(rollouts.counts.values()), device=rollouts.rewards.device))
        metrics |= {f"data/{name}": float(count) for name, count in zip(rollouts.counts, counts.tolist(), strict=True)}
    return metrics
