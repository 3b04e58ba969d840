"""Metrics over n sampled responses per problem: avg@k and the unbiased pass@k, as torchmetrics that sum over ranks.

pass@k = 1 − C(n − c, k) / C(n, k), c the number of right ones among n (Chen et al., 2021, arXiv 2107.03374).

Shapes: P problems, n samples of each.
"""

from __future__ import annotations

from math import comb

import torch
from torch import Tensor
from torchmetrics import Metric

from mentor_pl.errors import UsageError


class _MeanOverProblems(Metric):
    """Mean over problems of a number per problem, exact across ranks."""

    full_state_update = False
    total: Tensor
    problems: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("problems", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def _add(self, values: Tensor) -> None:
        self.total += values.double().sum()
        self.problems += len(values)

    def compute(self) -> Tensor:
        """The mean, a float32 scalar; NaN before any problem."""
        return (self.total / self.problems).float()


class AvgAtK(_MeanOverProblems):
    """avg@k: the share of right responses, k of them per problem."""

    def update(self, correct: Tensor) -> None:
        """Add problems: `correct` [P, k] bool."""
        self._add(correct.double().mean(-1))


class PassAtK(_MeanOverProblems):
    """pass@k: the chance that k of a problem's responses contain a right one, by the unbiased estimator.

    Args:
        k: responses that may be tried.

    Raises:
        UsageError: for k below 1, and in `update` for fewer than k samples.
    """

    def __init__(self, k: int) -> None:
        super().__init__()
        if k < 1:
            raise UsageError(f"pass@k with k = {k}: give at least 1")
        self.k = k

    def update(self, correct: Tensor) -> None:
        """Add problems: `correct` [P, n] bool, n ≥ k."""
        n = correct.shape[1]
        if n < self.k:
            raise UsageError(f"pass@{self.k} needs at least {self.k} samples per problem, but there are {n}")
        table = torch.tensor([1 - comb(n - c, self.k) / comb(n, self.k) for c in range(n + 1)], dtype=torch.float64)
        self._add(table.to(correct.device)[correct.sum(-1)])
