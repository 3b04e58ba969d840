"""The report of an experiment: what was asked, what came out, what may be concluded, and how to run any of it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mentor_pl.experiments.design.design import Design
from mentor_pl.experiments.figures.drawing import save_figures
from mentor_pl.experiments.figures.figures import CAPTIONS, draw_figures
from mentor_pl.experiments.report.document import Heading, Picture, Text, to_html, to_markdown
from mentor_pl.experiments.report.sections import (
    claims,
    costs,
    criteria,
    opening,
    outcome_tables,
    reruns,
    runs,
    versions,
)
from mentor_pl.experiments.runner.folder import Fixed
from mentor_pl.experiments.runner.results import Result, results_lines
from mentor_pl.experiments.statistics.criteria import Judged, judge_criteria
from mentor_pl.experiments.statistics.verdicts import Verdict, judge
from mentor_pl.runtime.errors import UsageError


@dataclass(frozen=True)
class Report:
    """What `write_report` has written, and what it says of the claims.

    Attributes:
        folder: of the report.
        verdicts: on each claim in each setting.
        judged: on each criterion in each setting.
        figures: names of the files in figures/.
    """

    folder: Path
    verdicts: Sequence[Verdict]
    judged: Sequence[Judged]
    figures: Sequence[str]


def write_report(out: Path, name: str, design: Design, fixed: Fixed, results: Sequence[Result]) -> Report:
    """Write report.md, report.html, results.jsonl and figures/ into `out`.

    Args:
        out: the experiment's folder.
        name: of the design's file, which is the title.
        design: as it is at present.
        fixed: as it was before the first run.
        results: of all cells.
    """
    verdicts, judged = judge(design, results), judge_criteria(design, results)
    figures, missing = draw_figures(design, results)
    try:
        save_figures(figures, out / "figures")
        (out / "results.jsonl").write_text(results_lines(design, results), encoding="utf-8")
        blocks = [
            *opening(name, design, fixed, results),
            *claims(design, verdicts),
            *criteria(design, judged),
            *outcome_tables(design, results),
            Heading("Figures"),
            *(Picture(f"figures/{figure}", CAPTIONS[figure]) for figure in figures),
            *(Text(f"Left out: {figure}: {why}.") for figure, why in missing.items()),
            *costs(design, results),
            *runs(design, results),
            *reruns(out, results),
            *versions(results),
        ]
        (out / "report.md").write_text(to_markdown(blocks), encoding="utf-8")
        (out / "report.html").write_text(to_html(blocks, name, out), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out}: the report cannot be written ({error.strerror}): make room, or mend it") from error
    return Report(out, verdicts, judged, tuple(figures))
