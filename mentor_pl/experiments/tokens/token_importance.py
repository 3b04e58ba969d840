"""`mentor token_importance`: does success depend on what is said at a token, and does entropy show it?

At some places of the policy's responses each of the likeliest tokens is put in turn, and the policy goes on from there
n times. Importance is the spread of the success rates over these tokens, without the noise of n (`success_spread`).
Entropy misleads where it is high and nothing depends on the token, and where it is low and much does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy import stats

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.sampler import Sampler
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.experiments.runner.estimate import in_words
from mentor_pl.experiments.tokens.continuations import Place, alternatives, rows_of, successes
from mentor_pl.experiments.tokens.importance_report import Importances, Measured, draw, quantile, report
from mentor_pl.experiments.tokens.probe import check_probe, responses_of, write_probe
from mentor_pl.experiments.tokens.responses import Labelled, Labels
from mentor_pl.experiments.tokens.scores import ENTROPY, loaded, score
from mentor_pl.experiments.tokens.success_spread import spread
from mentor_pl.models.loading import Models
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.progress import progress_bar
from mentor_pl.runtime.ranges import MAX_GROUP, check


def token_importance(
    problems: Benchmark,
    policy: str,
    labels: Labels | None = None,
    annotations: Path | None = None,
    places: int | None = 100,
    top: int = 4,
    floor: float = 0.01,
    continuations: int = 16,
    p: float = 0.8,
    level: float = 0.05,
    out: Path = Path("runs/token_importance"),
    sampler: Sampler | None = None,
    seed: int = 0,
) -> None:
    """Measure how much success depends on the choice at a token, by drawing it anew and going on from there.

    A first one: `mentor token_importance --config configs/experiments/token_importance.yaml`. Into one folder come
    token_importance.json, report.md with the places where entropy misleads, importance.png and importance.svg, and
    places.jsonl with what was counted at every place.

    Args:
        problems: which problems, how many (`limit`), responses to each (`samples`), how they are sampled and graded; as
            a benchmark.
        policy: model folder.
        labels: function that labels words, (problem, words) -> for each word True, a decision, False, forced, or None.
        annotations: a file of responses with labels, which are then looked at in place of sampled ones: JSON lines with
            `problem`, `response` and `labels`, one per word.
        places: tokens that are looked at, one drawn from each of so many equal strata of all by entropy; null for all.
        top: tokens that are tried at a place, at most: the likeliest.
        floor: probability below which a token is not tried.
        continuations: of each that is tried.
        p: entropy is high from its p-quantile over all tokens on, as of a gate's.
        level: a place matters where the p of its differences, adjusted for their number (Benjamini and Hochberg), is at
            most this.
        out: folder of what comes out.
        sampler: decoder; by default `Coin` with 512 rows.
        seed: of the sampling noise and of the choice of places.

    Raises:
        UsageError: for settings out of range, a model or problems that cannot be read, labels that do not fit, and a
            reward that does not say what is right.
    """
    if labels is not None and annotations is not None:
        raise UsageError("labels and annotations are both given, but a token has one label: give one of them")
    check_probe(problems, labels, out, seed)
    check("places", places, at_least=1, because="it counts tokens", otherwise="or null for all")
    check("top", top, at_least=2, because="the choice is between the tokens that are tried")
    check("floor", floor, at_least=0, below=1, because="it is a probability")
    check(
        "continuations",
        continuations,
        at_least=2,
        at_most=MAX_GROUP,
        because="their noise is estimated from each other",
    )
    check("p", p, above=0, below=1, because="a quantile lies strictly between 0 and 1")
    check("level", level, above=0, below=1, because="it is a share of false alarms")
    decoder = sampler or Coin(rows=512)
    with loaded(policy, None) as models:
        with progress_bar("responses") as progress:
            began = time.perf_counter()
            responses = responses_of(models, problems, labels, annotations, decoder, seed, progress)
            seconds = time.perf_counter() - began if annotations is None else None
            scores = score(models, responses, problems.sampling.temperature, progress)
        entropies = [one[ENTROPY].tolist() for one in scores]
        found = alternatives(models, problems, responses, choose(entropies, places, seed), top, floor)
        _tell(found, responses, continuations, seconds)
        counts = _count(models, problems, responses, found, continuations, decoder, seed)
    spellings = {i: str(models.tokenizer.decode([i], skip_special_tokens=False)) for one in found for i in one.ids}
    measured = judge(responses, entropies, found, counts, spellings, continuations, level, seed)
    seen = Importances(measured, quantile(entropies, p), p, level, continuations)
    print(seen.sentence())
    settings = {
        "problems": problems.name, "policy": policy, "places": places, "top": top, "floor": floor,
        "continuations": continuations, "p": p, "level": level, "seed": seed,
    }  # fmt: skip
    summary, lines = {"settings": settings, **seen.numbers()}, map(asdict, measured)
    write_probe(out, summary, draw(seen), report(seen), lines, ("token_importance", "importance", "places"))


def choose(entropies: Sequence[Sequence[float]], count: int | None, seed: int) -> list[tuple[int, int]]:
    """Places (response, token), in order: one drawn from each of `count` strata by entropy, equally large; or all.

    Args:
        entropies: [N] lists of [T].
        count: of places; all where it is none or there are no more.
        seed: of the draws.
    """
    places = [(response, token) for response, values in enumerate(entropies) for token in range(len(values))]
    if count is None or count >= len(places):
        return places
    rng = np.random.default_rng(seed)
    order = sorted(places, key=lambda place: entropies[place[0]][place[1]])
    strata = np.array_split(np.arange(len(order)), count)
    return sorted(order[rng.choice(stratum)] for stratum in strata)


def judge(
    responses: Sequence[Labelled],
    entropies: Sequence[Sequence[float]],
    places: Sequence[Place],
    counts: Sequence[Sequence[int] | None],
    spellings: Mapping[int, str],
    n: int,
    level: float,
    seed: int,
) -> list[Measured]:
    """What was found at every place.

    Args:
        responses, entropies: of all tokens.
        places: that were looked at.
        counts: of successes there; none where there is no choice.
        spellings: of the alternatives.
        n: continuations of each alternative.
        level: of the adjusted p.
        seed: of the permutation tests.
    """
    rng = np.random.default_rng(seed)
    spreads = [
        spread(place.probabilities, count, n, rng) if count is not None else None
        for place, count in zip(places, counts, strict=True)
    ]
    tested = [one.p for one in spreads if one is not None]
    adjusted = iter(stats.false_discovery_control(tested).tolist() if tested else [])
    found = []
    for place, count, one in zip(places, counts, spreads, strict=True):
        response, q = responses[place.response], 1.0 if one is None else float(next(adjusted))
        found.append(
            Measured(
                index=response.prompt.index,
                number=response.number,
                token=place.token,
                problem=response.prompt.problem,
                before="".join(response.texts[: place.token]).strip(),
                said=response.texts[place.token].strip(),
                after="".join(response.texts[place.token + 1 :]).strip(),
                label=response.labels[place.token],
                entropy=entropies[place.response][place.token],
                alternatives=[spellings[i] for i in place.ids],
                probabilities=list(place.probabilities),
                successes=None if count is None else list(count),
                importance=0.0 if one is None else one.importance,
                variance=0.0 if one is None else one.variance,
                noise=0.0 if one is None else one.noise,
                range=0.0 if one is None else one.range,
                p=1.0 if one is None else one.p,
                adjusted_p=q,
                matters=q <= level,
            )
        )
    return found


def _count(
    models: Models,
    problems: Benchmark,
    responses: Sequence[Labelled],
    places: Sequence[Place],
    n: int,
    sampler: Sampler,
    seed: int,
) -> list[list[int] | None]:
    """Successes of each alternative at each place; none where a single token is all there is to say."""
    rows = [rows_of(models, problems, responses, place) if len(place.ids) > 1 else [] for place in places]
    with progress_bar("continuations") as progress:
        try:
            flat = iter(successes(models, problems, [row for some in rows for row in some], n, sampler, seed, progress))
        finally:
            problems.grader.close()
    return [[next(flat) for _ in some] if some else None for some in rows]


def _tell(places: Sequence[Place], responses: Sequence[Labelled], n: int, seconds: float | None) -> None:
    """What the continuations will cost, before they begin, if they are as long as what they take the place of."""
    tried = [(len(place.ids), place) for place in places if len(place.ids) > 1]
    tokens = n * sum(count * (len(responses[place.response].ids) - place.token - 1) for count, place in tried)
    sampled = sum(len(one.ids) for one in responses)
    took = "" if seconds is None else f", some {in_words(seconds * tokens / max(1, sampled))} at the pace so far"
    print(
        f"{len(tried)} of {len(places)} places have a choice: {n * sum(count for count, _ in tried):,} continuations, "
        f"about {tokens:,} tokens in all{took}",
        file=sys.stderr,
    )
