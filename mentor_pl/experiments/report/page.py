"""One page of an experiment for a repository: Markdown, with figures and results small enough to be committed.

PAGE.md                 what was asked, how, what came out, every seed
PAGE/<figure>.svg|png   at most FIGURES bytes together
PAGE/results.jsonl      to five significant digits; beyond PLAIN bytes .gz, and beyond RESULTS without the evaluations
PAGE/design.json        the design that was fixed, and its hash
"""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image

from mentor_pl.experiments.design.design import Design
from mentor_pl.experiments.figures.figures import CAPTIONS
from mentor_pl.experiments.report.document import Block, Code, Heading, Picture, Text, to_markdown
from mentor_pl.experiments.report.report import Report
from mentor_pl.experiments.report.sections import claims, costs, criteria, every_seed, opening, outcome_tables, versions
from mentor_pl.experiments.runner.estimate import in_words
from mentor_pl.experiments.runner.folder import Fixed
from mentor_pl.experiments.runner.results import Result, results_lines
from mentor_pl.runtime.errors import UsageError

FIGURES, PLAIN, RESULTS = 100_000, 30_000, 40_000  # bytes: nine pages are about 1.4 MB
_SCALES = (0.85, 0.7, 0.5)  # of the report's figures


def write_page(
    page: Path, command: Sequence[str], report: Report, design: Design, fixed: Fixed, results: Sequence[Result]
) -> Path:
    """Write the page and what lies beside it.

    Args:
        page: without `.md`.
        command: that runs the design.
        report: that has been written of the same.
        design: as it is at present.
        fixed: as it was before the first run.
        results: of all cells.

    Returns:
        the Markdown file.
    """
    try:
        page.mkdir(parents=True, exist_ok=True)
        shown = _save_figures(report, page)
        left = [name for name in report.figures if name not in shown]
        told = _save_results(design, results, page)
        shutil.copyfile(report.folder / "design.json", page / "design.json")
        blocks = [
            *opening(page.name, design, fixed, results),
            *_how(shlex.join(command), page, told, results),
            *claims(design, report.verdicts),
            *criteria(design, report.judged),
            *outcome_tables(design, results),
            Heading("Figures"),
            *(Picture(f"{page.name}/{name}", CAPTIONS[name]) for name in shown),
            *(Text(f"Too large for this page, and in the report: {', '.join(left)}.") for _ in left[:1]),
            *costs(design, results),
            *every_seed(design, results),
            *versions(results),
        ]
        written = page.with_name(f"{page.name}.md")
        written.write_text(to_markdown(blocks), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{page}: the page cannot be written ({error.strerror}): name another by --page") from error
    return written


def _how(command: str, page: Path, told: str, results: Sequence[Result]) -> list[Block]:
    done = [one.state for one in results if one.state.seconds]
    clock, processor = (in_words(sum(getattr(one, name) for one in done)) for name in ("seconds", "cpu_seconds"))
    words = f"{len(done)} runs took {clock} by the clock, one after another, and {processor} of processor time."
    beside = (
        f"Every run is a line of {page.name}/{told}; the design, whose hash is above, is {page.name}/design.json. "
        "The second command shows the one of each run, which makes it again."
    )
    return [Heading("How"), Text(words), Code(f"{command}\n{command} --dry"), Text(beside)]


def _save_figures(report: Report, folder: Path) -> list[str]:
    """As many as are small enough together, the most telling ones first."""
    names = [name for name in CAPTIONS if name in report.figures]
    made: dict[str, bytes] = {}
    while names:
        for scale in _SCALES:
            made = {name: _smaller(report.folder / f"figures/{name}.png", scale) for name in names}
            if sum(map(len, made.values())) <= FIGURES:
                break
        else:
            names.pop()
            continue
        break
    for name in CAPTIONS:  # those of an earlier page go
        (folder / f"{name}.png").unlink(missing_ok=True)
    for name in names:
        (folder / f"{name}.png").write_bytes(made[name])
    return names


def _smaller(file: Path, scale: float) -> bytes:
    """A figure in 128 colours, those that lie farthest apart: a mean of two methods' colours would be neither's."""
    with Image.open(file) as image:
        size = (round(image.width * scale), round(image.height * scale))
        scaled, small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS), BytesIO()
    scaled.quantize(128, Image.Quantize.MAXCOVERAGE).save(small, "PNG", optimize=True)
    return small.getvalue()


def _save_results(design: Design, results: Sequence[Result], folder: Path) -> str:
    """The file's name."""
    plain = _rounded(results_lines(design, results))
    small = gzip.compress(plain, mtime=0)
    if len(small) > RESULTS:
        small = gzip.compress(_rounded(results_lines(design, results, evaluations=False)), mtime=0)
    for name in ("results.jsonl", "results.jsonl.gz"):
        (folder / name).unlink(missing_ok=True)
    name, data = ("results.jsonl", plain) if len(plain) <= PLAIN else ("results.jsonl.gz", small)
    (folder / name).write_bytes(data)
    return name


def _rounded(lines: str) -> bytes:
    """Lines of JSON; digits beyond those that count are most of what cannot be compressed."""
    short = [json.loads(line, parse_float=lambda text: float(f"{float(text):.5g}")) for line in lines.splitlines()]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in short).encode()
