"""`mentor gate_truth`: do entropy and the divergence from an expert find the tokens at which something is decided?

Every token of responses that the policy itself has sampled is scored (`token_scores`), and each score is judged as a
detector of the tokens that are labelled as decisions, by its ROC curve and AUC (`roc`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.sampler import Sampler
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.experiments.figures.curves import RUN_COLOURS
from mentor_pl.experiments.report.document import Block, Heading, Picture, Table, Text
from mentor_pl.experiments.tokens.probe import check_probe, responses_of, write_probe
from mentor_pl.experiments.tokens.responses import Labelled, Labels
from mentor_pl.experiments.tokens.roc import Auc, auc, in_words, numbers, roc_curve
from mentor_pl.experiments.tokens.scores import Scores, loaded, score
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.progress import progress_bar

_PANEL = 4.2  # inches


@dataclass(frozen=True)
class Seen:
    """What one policy's tokens show, those with a label: n of them.

    Attributes:
        responses, problems: how many.
        unlabelled: tokens without a label.
        decisions: [n] bool.
        scores: name -> [n].
        areas: name -> AUC.
    """

    responses: int
    problems: int
    unlabelled: int
    decisions: NDArray[np.bool_]
    scores: Mapping[str, NDArray[np.float32]]
    areas: Mapping[str, Auc]


def gate_truth(
    problems: Benchmark,
    policies: dict[str, str],
    expert: str,
    labels: Labels | None = None,
    annotations: Path | None = None,
    out: Path = Path("runs/gate_truth"),
    sampler: Sampler | None = None,
    seed: int = 0,
) -> None:
    """Judge entropy, divergence from the expert and their product as detectors of decisions, by ROC and AUC.

    A first one: `mentor gate_truth --config configs/experiments/gate_truth.yaml`. Into one folder come gate_truth.json,
    report.md, roc.png and roc.svg, and tokens.jsonl with the scores and labels of every token.

    Args:
        problems: which problems, how many (`limit`), responses to each (`samples`), how they are sampled; as a
            benchmark. Nothing is graded.
        policies: name -> model folder, such as base, and exported policies of runs; a panel of the figure each.
        expert: model folder, over the same ids.
        labels: function that labels words, (problem, words) -> for each word True, a decision, False, forced, or None.
        annotations: instead, a file of responses with labels, which are then scored in place of sampled ones: JSON
            lines with `problem`, `response` and `labels`, one per word.
        out: folder of what comes out.
        sampler: decoder; by default `Coin` with 512 rows.
        seed: of the sampling noise.

    Raises:
        UsageError: for settings out of range, models or problems that cannot be read, labels that do not fit, and
            where no token is labelled a decision, or none forced.
    """
    if (labels is None) == (annotations is None):
        raise UsageError(
            "gate_truth needs labels, a function, or annotations, a file of labelled responses, and not both: give one"
        )
    if not policies:
        raise UsageError("policies is {}: give at least one, as `name: model folder`")
    check_probe(problems, labels, out, seed)
    found: dict[str, tuple[list[Labelled], list[Scores]]] = {}
    for name, folder in policies.items():
        with loaded(folder, expert) as models, progress_bar(name) as progress:
            decoder = sampler or Coin(rows=512)
            responses = responses_of(models, problems, labels, annotations, decoder, seed, progress)
            found[name] = responses, score(models, responses, problems.sampling.temperature, progress)
    seen = {name: look(name, *parts) for name, parts in found.items()}
    for name, one in seen.items():
        print(f"{name}: " + ", ".join(f"{kind} {in_words(area)}" for kind, area in one.areas.items()))
    settings = {"problems": problems.name, "policies": policies, "expert": expert, "seed": seed}
    summary = {"settings": settings, "policies": {name: _numbers(one) for name, one in seen.items()}}
    lines = chain.from_iterable(_lines(name, *parts) for name, parts in found.items())
    write_probe(out, summary, draw(seen), report(seen), lines, ("gate_truth", "roc", "tokens"))


def look(name: str, responses: Sequence[Labelled], scores: Sequence[Scores]) -> Seen:
    """The labelled tokens of a policy's responses.

    Raises:
        UsageError: where they are not of both kinds.
    """
    labels = [label for one in responses for label in one.labels]
    known = np.array([label is not None for label in labels], dtype=bool)
    decisions = np.array([label is True for label in labels], dtype=bool)[known]
    owners = np.array([one.prompt.index for one in responses for _ in one.labels])[known]
    if decisions.all() or not decisions.any():
        raise UsageError(
            f"policy {name}: {int(decisions.sum())} of {len(decisions)} labelled tokens are decisions, but a detector "
            "needs tokens of both kinds: give labels that fit these problems, or more of them (problems.limit)"
        )
    flat = {kind: np.concatenate([one[kind] for one in scores])[known] for kind in scores[0]}
    areas = {kind: auc(values, decisions, owners) for kind, values in flat.items()}
    unlabelled, problems = int((~known).sum()), len(np.unique(owners))
    return Seen(len(responses), problems, unlabelled, decisions, flat, areas)


def draw(seen: Mapping[str, Seen]) -> Figure:
    """ROC curves, a panel for each policy."""
    figure = Figure(figsize=(_PANEL * len(seen), _PANEL + 0.3), layout="constrained")
    for axes, (name, one) in zip(figure.subplots(1, len(seen), squeeze=False)[0], seen.items(), strict=True):
        for colour, (kind, values) in zip(RUN_COLOURS, one.scores.items(), strict=False):
            false, true = roc_curve(values, one.decisions)
            axes.plot(false, true, color=colour, label=f"{kind}  {one.areas[kind].value:.3f}")
        axes.plot([0, 1], [0, 1], ":", color="#888888", linewidth=1)
        axes.set_title(f"{name}: {one.decisions.mean():.0%} of {len(one.decisions):,} tokens decide", fontsize=10)
        axes.set_xlabel("forced tokens at or above the threshold")
        axes.set_ylabel("decisions at or above it")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(title="AUC", fontsize=8, title_fontsize=8, frameon=False, loc="lower right")
    return figure


def report(seen: Mapping[str, Seen]) -> list[Block]:
    """What is read of it."""
    kinds = list(next(iter(seen.values())).areas)
    tokens = [
        [
            name,
            f"{one.problems:,}",
            f"{one.responses:,}",
            f"{len(one.decisions):,}",
            f"{one.decisions.mean():.1%}",
            f"{one.unlabelled:,}",
        ]
        for name, one in seen.items()
    ]
    columns = ("policy", "problems", "responses", "labelled tokens", "decisions", "without a label")
    return [
        Heading("What do the gates see?", 1),
        Text(
            "AUC: the chance that a token which decides something scores above one that is forced; 0.5 is chance. In "
            "brackets the 95 % bootstrap interval over problems."
        ),
        Table(
            ("policy", *kinds), [[name, *(in_words(one.areas[kind]) for kind in kinds)] for name, one in seen.items()]
        ),
        Picture("roc", "ROC of each score as a detector of decisions"),
        Heading("Tokens"),
        Table(columns, tokens),
        Text(
            "Entropies and divergences are in nats, over the whole vocabulary, at the temperature of sampling; KL is "
            "forward, expert to policy. tokens.jsonl has every token: from it all of this can be computed again."
        ),
    ]


def _numbers(seen: Seen) -> dict[str, Any]:
    return {
        "problems": seen.problems,
        "responses": seen.responses,
        "labelled_tokens": len(seen.decisions),
        "unlabelled_tokens": seen.unlabelled,
        "decisions": float(seen.decisions.mean()),
        "auc": {kind: numbers(area) for kind, area in seen.areas.items()},
    }


def _lines(policy: str, responses: Sequence[Labelled], scores: Sequence[Scores]) -> Iterator[dict[str, Any]]:
    """One for each response. Nine digits are a float32."""
    for one, values in zip(responses, scores, strict=True):
        yield {
            "policy": policy,
            "index": one.prompt.index,
            "number": one.number,
            "problem": one.prompt.problem,
            "tokens": [text.strip() for text in one.texts],
            "labels": one.labels,
            "scores": {kind: [float(f"{value:.9g}") for value in some] for kind, some in values.items()},
        }
