"""What the importance of tokens shows beside their entropy: numbers, a figure, and where the two part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from mentor_pl.experiments.figures.curves import RUN_COLOURS
from mentor_pl.experiments.report.document import Block, Code, Heading, Picture, Table, Text
from mentor_pl.experiments.tokens.roc import Auc, auc, in_words, numbers
from mentor_pl.runtime.printable import printable

LISTED = 10  # places of a kind in the report
_PROBLEM, _BEFORE, _AFTER = 100, 90, 40  # characters that are shown
_NAMES = {True: "decision", False: "forced", None: "no label"}


@dataclass(frozen=True)
class Measured:
    """One token of a response, and what depends on it.

    Attributes:
        index, number, token: of the problem, of its response, of the token in it.
        problem, before, said, after: texts; the response is `before`, `said` and `after`.
        label: a decision, forced, or not known.
        entropy: in nats.
        alternatives, probabilities, successes: of the tokens that were tried there; no successes of a single one.
        importance, variance, noise, range, p: as of `success_spread.Spread`.
        adjusted_p: for the number of places.
        matters: whether success depends on the token.
    """

    index: int
    number: int
    token: int
    problem: str
    before: str
    said: str
    after: str
    label: bool | None
    entropy: float
    alternatives: Sequence[str]
    probabilities: Sequence[float]
    successes: Sequence[int] | None
    importance: float
    variance: float
    noise: float
    range: float
    p: float
    adjusted_p: float
    matters: bool


@dataclass(frozen=True)
class Importances:
    """All places.

    Attributes:
        places: that were looked at.
        gamma: entropy from which on it is high.
        p: the quantile that gamma is.
        level: of the adjusted p.
        n: continuations of each alternative.
    """

    places: Sequence[Measured]
    gamma: float
    p: float
    level: float
    n: int

    @property
    def style(self) -> list[Measured]:
        """High entropy, and no dependence was found; the highest first."""
        found = [one for one in self.places if one.entropy >= self.gamma and not one.matters]
        return sorted(found, key=lambda one: -one.entropy)

    @property
    def missed(self) -> list[Measured]:
        """Low entropy, and success depends on the token; the most important first."""
        found = [one for one in self.places if one.entropy < self.gamma and one.matters]
        return sorted(found, key=lambda one: -one.importance)

    def rank_correlation(self, what: str) -> tuple[float, float]:
        """Spearman's ρ of entropy with `importance` or `range`, and its p; NaN where either is constant."""
        entropies, values = [one.entropy for one in self.places], [getattr(one, what) for one in self.places]
        if len(set(entropies)) < 2 or len(set(values)) < 2:
            return math.nan, math.nan
        found = stats.spearmanr(entropies, values)
        return float(found.statistic), float(found.pvalue)

    def areas(self) -> dict[str, Auc]:
        """AUCs, of entropy for what matters, and of both for the labels."""
        labelled = [one for one in self.places if one.label is not None]

        def area(score: str, label: str, places: Sequence[Measured]) -> Auc:
            return auc(*([getattr(one, name) for one in places] for name in (score, label, "index")))

        return {
            "entropy, for tokens that matter": area("entropy", "matters", self.places),
            "entropy, for decisions": area("entropy", "label", labelled),
            "importance, for decisions": area("importance", "label", labelled),
        }

    def numbers(self) -> dict[str, Any]:
        """As JSON has it."""
        correlations = {what: self.rank_correlation(what) for what in ("importance", "range")}
        return {
            "places": len(self.places),
            "with_a_choice": sum(one.successes is not None for one in self.places),
            "matter": sum(one.matters for one in self.places),
            "gamma": self.gamma,
            "high_and_not_important": len(self.style),
            "low_and_important": len(self.missed),
            "rank_correlation": {
                what: None if math.isnan(rho) else {"rho": rho, "p": p} for what, (rho, p) in correlations.items()
            },
            "auc": {name: numbers(area) for name, area in self.areas().items()},
        }

    def sentence(self) -> str:
        """In one line."""
        matter, (rho, _) = sum(one.matters for one in self.places), self.rank_correlation("importance")
        return (
            f"{matter} of {len(self.places)} places matter, which entropy finds with AUC "
            f"{in_words(self.areas()['entropy, for tokens that matter'])}; rank correlation with importance "
            f"{rho:.3f}; high entropy where nothing was found to depend on the token: {len(self.style)}, low where "
            f"success does: {len(self.missed)}"
        )


def draw(seen: Importances) -> Figure:
    """Importance against entropy, by label; filled where the token matters."""
    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for colour, (label, name) in zip((RUN_COLOURS[1], RUN_COLOURS[0], "#888888"), _NAMES.items(), strict=True):
        for matters in (False, True):
            some = [one for one in seen.places if one.label is label and one.matters == matters]
            if some:
                axes.scatter(
                    [one.entropy for one in some],
                    [one.importance for one in some],
                    s=22,
                    facecolors=colour if matters else "none",
                    edgecolors=colour,
                    alpha=0.8,
                    label=f"{name}, {'matters' if matters else 'not found to'}",
                )
    axes.axvline(seen.gamma, linestyle=":", color="#888888", linewidth=1, label=f"entropy's {seen.p:g}-quantile")
    axes.set_xlabel("entropy (nats)")
    axes.set_ylabel("importance (spread of the success rate)")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(fontsize=8, frameon=False, loc="outside right upper")
    return figure


def report(seen: Importances) -> list[Block]:
    """What is read of it."""
    correlations = [(what, *seen.rank_correlation(what)) for what in ("importance", "range")]
    return [
        Heading("Which tokens matter?", 1),
        Text(f"{seen.sentence()}."),
        Text(
            "Importance is the standard deviation of the success rate over the tokens that the policy may say at a "
            f"place, weighted by their probabilities, after the noise of {seen.n} continuations each is taken off; the "
            "range is that of the rates as counted. A place matters where a permutation test tells the rates apart "
            f"(p adjusted for all places ≤ {seen.level:g}); where it does not, a small difference may be there still."
        ),
        Picture("importance", "importance against entropy"),
        Table(("detector", "AUC [95 %]"), [(name, in_words(area)) for name, area in seen.areas().items()]),
        Table(
            ("rank correlation of entropy with", "Spearman's ρ", "p"),
            [(what, *("–" if math.isnan(x) else f"{x:.3g}" for x in (rho, p))) for what, rho, p in correlations],
        ),
        Heading("High entropy, and nothing was found to depend on the token"),
        *_listed(seen.style, seen.n),
        Heading("Low entropy, and success depends on the token"),
        *_listed(seen.missed, seen.n),
        Text(f"Entropy is high from {seen.gamma:.4g} nats on, its {seen.p:g}-quantile over all tokens."),
    ]


def _listed(places: Sequence[Measured], n: int) -> list[Block]:
    if not places:
        return [Text("None.")]
    told = [Code("\n\n".join(_in_context(one, n) for one in places[:LISTED]))]
    more = len(places) - LISTED
    return [*told, Text(f"And {more} more in places.jsonl.")] if more > 0 else [*told]


def _in_context(one: Measured, n: int) -> str:
    before, after = one.before[-_BEFORE:], one.after[:_AFTER]
    text = f"{'…' if before != one.before else ''}{before} ⟦{one.said}⟧ {after}{'…' if after != one.after else ''}"
    counts: Sequence[int | None] = one.successes if one.successes is not None else [None] * len(one.alternatives)
    tried = [
        f"{word.strip()} {probability:.2f}" + ("" if count is None else f" → {count / n:.2f}")
        for word, probability, count in zip(one.alternatives, one.probabilities, counts, strict=True)
    ]
    head = (
        f"problem {one.index}, response {one.number}, token {one.token}, {_NAMES[one.label]}: entropy "
        f"{one.entropy:.3f}, importance {one.importance:.3f}, range {one.range:.2f}, p {one.adjusted_p:.2g}"
    )
    problem = " ".join(one.problem.split())
    problem = problem if len(problem) <= _PROBLEM else f"{problem[:_PROBLEM]}…"
    lines = (head, problem, " ".join(text.split()), "   ".join(tried))
    return printable("\n  ".join(lines), keep="\n")


def quantile(entropies: Sequence[Sequence[float]], p: float) -> float:
    """The p-quantile over all tokens, one of them."""
    return float(np.quantile(np.concatenate(entropies), p, method="higher"))
