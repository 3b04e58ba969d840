"""`mentor gate_truth`: do entropy and the divergence from an expert find the tokens at which something is decided?

Every token of responses that the policy itself has sampled is scored (`token_scores`), and each score is judged as a
detector of the tokens that are labelled as decisions, by its ROC curve and AUC (`roc`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
from mentor_pl.experiments.curves import RUN_COLOURS
from mentor_pl.experiments.document import Block, Heading, Picture, Table, Text, to_markdown
from mentor_pl.experiments.figures import save_figures
from mentor_pl.experiments.responses import Labelled, Labels, read_annotated, sample
from mentor_pl.experiments.roc import Auc, auc, in_words, numbers, roc_curve
from mentor_pl.experiments.token_scores import Scores, loaded, score
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder
from mentor_pl.runtime.progress import progress_bar
from mentor_pl.runtime.ranges import check, check_seed

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
    check_probe(problems, out, seed)
    found: dict[str, tuple[list[Labelled], list[Scores]]] = {}
    for name, folder in policies.items():
        with loaded(folder, expert) as models, progress_bar(name) as progress:
            prompts = problems.load(models.tokenizer, models.vocabulary.window)
            if annotations is not None:
                responses = read_annotated(models, problems, prompts, annotations)
            else:
                responses = sample(models, problems, prompts, labels, sampler or Coin(rows=512), seed, progress)
            found[name] = responses, score(models, responses, problems.sampling.temperature, progress)
    seen = {name: look(name, *parts) for name, parts in found.items()}
    try:
        out.mkdir(parents=True, exist_ok=True)
        save_figures({"roc": draw(seen)}, out)
        (out / "tokens.jsonl").write_text("".join(chain(*(_lines(n, *parts) for n, parts in found.items()))), "utf-8")
        settings = {"problems": problems.name, "policies": policies, "expert": expert, "seed": seed}
        summary = {"settings": settings, "policies": {name: _numbers(one) for name, one in seen.items()}}
        (out / "gate_truth.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
        (out / "report.md").write_text(to_markdown(report(seen)), "utf-8")
    except OSError as error:
        raise UsageError(f"out is '{out}', which cannot be written to ({error.strerror}): name another") from error
    for name, one in seen.items():
        print(f"{name}: " + ", ".join(f"{score} {in_words(area)}" for score, area in one.areas.items()))
    print(f"report  {out / 'report.md'}")


def check_probe(problems: Benchmark, out: Path, seed: int) -> None:
    """Refuse what no tokens can be looked at with.

    Raises:
        UsageError: for greedy sampling, a folder that cannot be written to, or a seed out of range.
    """
    check("problems.sampling.temperature", problems.sampling.temperature, above=0, because="every score is taken at it")
    check_folder("out", out)
    check_seed("seed", seed)


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


def _lines(policy: str, responses: Sequence[Labelled], scores: Sequence[Scores]) -> list[str]:
    """A line for each response. Nine digits are a float32."""
    lines = []
    for one, values in zip(responses, scores, strict=True):
        head = {"policy": policy, "index": one.prompt.index, "number": one.number, "problem": one.prompt.problem}
        told = {kind: [float(f"{value:.9g}") for value in some] for kind, some in values.items()}
        line = {**head, "tokens": [text.strip() for text in one.texts], "labels": one.labels, "scores": told}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return lines
