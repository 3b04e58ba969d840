"""Metrics over sampled responses, as torchmetrics that sum over ranks: avg@k, the unbiased pass@k, words used.

pass@k = 1 − C(n − c, k) / C(n, k), c the number of right ones among n (Chen et al., 2021, arXiv 2107.03374).

Shapes: P problems, n samples of each, W words.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import comb
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.ranges import check

# The paper's reasoning pattern: the share of responses that contain each of these.
REASONING_WORDS = (
    *("however", "consider", "then", "given", "since", "therefore", "find", "similarly", "but", "wait", "okay"),
    *("alternatively", "check", "verify"),
)


def avg_at_k(correct: Tensor) -> Tensor:
    """The share of right responses of each problem: [P, k] bool -> [P] float64."""
    return correct.double().mean(-1)


def pass_at_k(correct: Tensor, k: int) -> Tensor:
    """The chance that k responses to a problem contain a right one, by the unbiased estimator.

    Args:
        correct: [P, n] bool, n ≥ k.
        k: responses that may be tried.

    Returns:
        [P] float64.

    Raises:
        UsageError: for fewer than k samples.
    """
    n = correct.shape[1]
    if n < k:
        raise UsageError(f"pass@{k} needs at least {k} samples per problem, but there are {n}")
    table = torch.tensor([1 - comb(n - c, k) / comb(n, k) for c in range(n + 1)], dtype=torch.float64)
    return table.to(correct.device)[correct.sum(-1)]


class _MeanOverProblems(Metric):
    """Mean over problems of a number per problem, exact across ranks."""

    full_state_update = False
    total: Tensor
    problems: Tensor

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
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
        self._add(avg_at_k(correct))


class PassAtK(_MeanOverProblems):
    """pass@k: the chance that k of a problem's responses contain a right one, by the unbiased estimator.

    Args:
        k: responses that may be tried.
        options: of any torchmetric.

    Raises:
        UsageError: for k below 1, and in `update` for fewer than k samples.
    """

    def __init__(self, k: int, **options: Any) -> None:
        super().__init__(**options)
        check("pass@k: k", k, at_least=1)
        self.k = k

    def update(self, correct: Tensor) -> None:
        """Add problems: `correct` [P, n] bool, n ≥ k."""
        self._add(pass_at_k(correct, self.k))


class WordOccurrence(Metric):
    """The share of responses that contain a word at least once: whole words, upper or lower case.

    Args:
        words: what to look for.
        options: of any torchmetric.

    Raises:
        UsageError: for an empty word or one given twice.
    """

    full_state_update = False
    counts: Tensor
    responses: Tensor

    def __init__(self, words: Sequence[str] = REASONING_WORDS, **options: Any) -> None:
        super().__init__(**options)
        folded = [word.casefold() for word in words]
        if not all(word.strip() for word in words) or len(set(folded)) < len(folded):
            raise UsageError(f"words are {list(words)}: give each once, and none that is empty")
        self.words = tuple(words)
        self._patterns = [re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE) for word in words]
        self.add_state("counts", torch.zeros(len(words), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("responses", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, texts: Sequence[str]) -> None:
        """Add responses."""
        found = [[pattern.search(text) is not None for pattern in self._patterns] for text in texts]
        self.counts += torch.tensor(found, device=self.counts.device).view(len(texts), len(self.words)).sum(0)
        self.responses += len(texts)

    def compute(self) -> Tensor:
        """[W] float32, in the order of `words`, a scalar of a single one; NaN before any response."""
        return self.counts.float() / self.responses
