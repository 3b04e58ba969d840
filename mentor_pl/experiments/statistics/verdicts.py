"""Whether each claim of a design holds, does not, or cannot be told, by the design's own rule (see `design`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mentor_pl.experiments.design.design import Comparison, Design
from mentor_pl.experiments.runner.results import Result, values
from mentor_pl.experiments.statistics.statistics import Paired, compare, holm, smallest_p

Answer = Literal["holds", "does not hold", "cannot be told"]


@dataclass(frozen=True)
class Verdict:
    """One claim in one setting.

    Attributes:
        claim: in words.
        paired: the better direction counted positive; none where no seed has both runs.
        p: Holm-adjusted, for the claim.
        p_against: Holm-adjusted, for its contrary.
        why: in words.
    """

    claim: str
    setting: str
    paired: Paired | None
    p: float
    p_against: float
    answer: Answer
    why: str


def judge(design: Design, results: Sequence[Result]) -> list[Verdict]:
    """Every claim in every setting; Holm's correction is over all of them."""
    claims = [(one, setting) for one in design.comparisons for setting in design.combinations()]
    pairs = [_paired(design, results, one, setting) for one, setting in claims]
    ps = holm([1.0 if one is None else one.p_above for one in pairs])
    least = min(1.0, len(claims) * smallest_p(max([len(one.seeds) for one in pairs if one is not None], default=0)))
    contrary = holm([1.0 if one is None else one.p_below for one in pairs])
    return [
        _verdict(design, claim, paired, p, against, least)
        for claim, paired, p, against in zip(claims, pairs, ps, contrary, strict=True)
    ]


def _paired(design: Design, results: Sequence[Result], one: Comparison, setting: str) -> Paired | None:
    sign = 1 if one.direction == "greater" else -1
    ours, theirs = (
        {seed: sign * value for seed, value in values(results, method, setting, design.outcome(one)).items()}
        for method in (one.method, design.against(one))
    )
    return compare(ours, theirs, one.threshold)


def _verdict(
    design: Design, claim: tuple[Comparison, str], paired: Paired | None, p: float, against: float, least: float
) -> Verdict:
    one, setting = claim
    more = f" by more than {one.threshold:g}" if one.threshold else ""
    where = f" in {one.outcome.name}" if one.outcome is not None else ""
    words = f"{one.method} {'above' if one.direction == 'greater' else 'below'} {design.against(one)}{more}{where}"
    answer: Answer = "cannot be told"
    if paired is None:
        why = "no seed has a finished run of both"
    elif p <= design.level:
        answer, why = "holds", f"adjusted p {p:.3g} ≤ {design.level:g}"
    elif against <= design.level:
        answer, why = "does not hold", f"adjusted p of the contrary {against:.3g} ≤ {design.level:g}"
    else:
        why = f"adjusted p {p:.3g}, and {against:.3g} of the contrary, both above {design.level:g}"
        best = max(least, smallest_p(len(paired.seeds)))
        if best > design.level:
            why += f"; so few seeds for so many claims give {best:.3g} at best"
    if paired is not None and paired.left_out:
        why += f"; without {_seeds(paired.left_out)}, which one of them alone has"
    return Verdict(words, setting, paired, p, against, answer, why)


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'' if len(seeds) == 1 else 's'} {', '.join(map(str, seeds))}"
