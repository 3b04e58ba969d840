"""Makes clean training problems from any source, and writes down everything that was left out and why.

    # MATH levels 3-5 from a file, without what stands in the benchmarks, 2 % held out
    python scripts/prepare_data.py math.jsonl --levels 3 4 5 --exclude benchmarks/ --held_out 0.02 --out data/math

    # Parquet or a data set of the Hub with other column names (a dot leads into nested values)
    python scripts/prepare_data.py BytedTsinghua-SIA/DAPO-Math-17k --problem prompt \\
        --answer reward_model.ground_truth --out data/dapo

    # with demonstrations of an expert: from a column of the same rows, or from elsewhere, joined by the problem's text
    python scripts/prepare_data.py open-r1/OpenR1-Math-220k --demonstrations generations --out data/openr1
    python scripts/prepare_data.py math.jsonl --demonstration_sources r1.jsonl --demonstrations solution --out data/math

The output folder gets train.jsonl, heldout.jsonl (with --held_out), report.json and report.txt. A line of the former
two has problem, answer, source and, where known, level and demonstrations: `mentor fit --data.train
data/math/train.jsonl` needs no further setting. A problem that several rows give is written once, with the
demonstrations of all of them, and not at all where the rows' answers differ.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mentor_pl.models.source import ModelSource
from mentor_pl.problems.columns import Columns, Problem, Unusable, demonstrations_of
from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.overlap import NEAR, hashed, normalised
from mentor_pl.problems.prompts import PAPER_SYSTEM_PROMPT, render
from mentor_pl.problems.selection import Selection, select_problems
from mentor_pl.problems.sources import BadRow, read_rows, refuse, source_of
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.progress import Progress, progress_bar


def main(argv: Sequence[str] | None = None) -> int:
    """Read, choose, write and report; 2 for what the user has to fix."""
    options = arguments(argv)
    try:
        prepare(options)
    except UsageError as error:
        print("prepare_data: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    return 0


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="JSON lines, JSON, Parquet, a folder, or a name on the Hub"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("data/problems"), help="folder to write to (default: %(default)s)"
    )
    rows = parser.add_argument_group("rows")
    rows.add_argument("--split", default="train", help="part of a data set that has parts (default: %(default)s)")
    rows.add_argument("--subset", help="configuration of a data set on the Hub, or folder inside a folder")
    rows.add_argument("--levels", nargs="+", type=int, help="only problems of these levels, such as 3 4 5")
    rows.add_argument(
        "--answered", action="store_true", help="leave out rows without an answer, which are bad rows else"
    )
    rows.add_argument("--on_bad_row", choices=("error", "skip"), default="error", help="stop, or leave out and list")
    rows.add_argument("--held_out", type=float, default=0.0, help="share of problems for heldout.jsonl, by a hash")
    columns = parser.add_argument_group("columns")
    columns.add_argument("--problem", default="problem", help="text or chat (default: %(default)s)")
    columns.add_argument("--answer", default="answer", help="reference answer (default: %(default)s)")
    columns.add_argument("--level", default="level", help="difficulty, if there (default: %(default)s)")
    columns.add_argument(
        "--demonstrations", default="demonstrations", help="an expert's responses, if there (default: %(default)s)"
    )
    columns.add_argument(
        "--keep", nargs="+", default=[], metavar="COLUMN", help="other columns to write, such as choices"
    )
    columns.add_argument(
        "--demonstration_sources", nargs="+", default=[], metavar="SOURCE", help="demonstrations from elsewhere"
    )
    overlap = parser.add_argument_group("overlap with benchmarks")
    overlap.add_argument("--exclude", nargs="+", default=[], metavar="SOURCE", help="benchmarks: files, folders, names")
    overlap.add_argument(
        "--near", type=float, default=NEAR, help="share of 13-grams that counts (default: %(default)s)"
    )
    length = parser.add_argument_group("length of prompts")
    length.add_argument("--model", help="model whose tokenizer and template measure prompts")
    length.add_argument(
        "--system_prompt", default=PAPER_SYSTEM_PROMPT, help="with --model; by default the paper's, '' for none"
    )
    length.add_argument("--max_prompt_tokens", type=int, default=1024, help="with --model (default: %(default)s)")
    return parser.parse_args(argv)


def prepare(options: argparse.Namespace) -> None:
    """Write the problems and the report.

    Raises:
        UsageError: for sources that cannot be read, where no problem is left, and for a folder that cannot be written.
    """
    if not 0 <= options.held_out < 1:
        raise UsageError(f"--held_out {options.held_out}: give a share of problems in [0, 1)")
    for source in (
        Path(name).resolve() for name in (*options.sources, *options.demonstration_sources, *options.exclude)
    ):
        if options.out.resolve() in (source, source.parent):
            raise UsageError(f"--out {options.out}: a source lies there and might be overwritten: name another folder")
    columns = Columns(options.problem, options.answer, options.level, options.demonstrations, ("source", *options.keep))
    selection = Selection(
        split=options.split,
        subset=options.subset,
        columns=columns,
        levels=options.levels,
        answered=options.answered,
        duplicates="drop",
        exclude=options.exclude,
        near=options.near,
        on_bad_row=options.on_bad_row,
    )
    filter_report = FilterReport()
    with progress_bar("reading") as progress:
        problems = select_problems(options.sources, selection, filter_report, progress)
    with progress_bar("reading demonstrations") as progress:
        demonstrations = read_demonstrations(options.demonstration_sources, selection, progress)
    if options.demonstration_sources and not any(normalised(problem.problem) in demonstrations for problem in problems):
        raise UsageError(
            f"--demonstration_sources {' '.join(options.demonstration_sources)}: none of their "
            f"{len(demonstrations)} problems is among the "
            f"{len(problems)} that are kept: name the right column as --problem, or leave them out"
        )
    problems = [
        replace(p, demonstrations=(*p.demonstrations, *demonstrations.get(normalised(p.problem), ()))) for p in problems
    ]
    if options.model is not None:
        with progress_bar("measuring prompts") as progress:
            problems = short_enough(problems, options, filter_report, progress)
    parts = {"train.jsonl": [p for p in problems if hashed(p.problem) >= options.held_out]}
    if options.held_out:
        parts["heldout.jsonl"] = [p for p in problems if hashed(p.problem) < options.held_out]
    try:
        write(options, filter_report, parts)
    except OSError as problem:
        raise UsageError(f"--out {options.out}: cannot be written ({problem}): name another folder") from problem


def write(options: argparse.Namespace, filter_report: FilterReport, parts: Mapping[str, Sequence[Problem]]) -> None:
    """Write the files of the output folder, and print the counts."""
    options.out.mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        lines = [json.dumps(row_of(problem, options.keep), ensure_ascii=False) + "\n" for problem in part]
        (options.out / name).write_text("".join(lines), encoding="utf-8")
    given = {name: str(value) if isinstance(value, Path) else value for name, value in vars(options).items()}
    report = {"options": given} | report_of(filter_report, parts)
    (options.out / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    text = report_text(
        ", ".join(options.sources), filter_report, {str(options.out / name): part for name, part in parts.items()}
    )
    (options.out / "report.txt").write_text(text + listed_text(filter_report), encoding="utf-8")
    print(text, end="")
    print(f"every row that was left out: {options.out / 'report.txt'}, {options.out / 'report.json'}")


def read_demonstrations(sources: Sequence[str], selection: Selection, progress: Progress) -> dict[str, tuple[str, ...]]:
    """Normalised problem -> its demonstrations, from sources of their own.

    Raises:
        UsageError: for the first row without problem or demonstration, unless they are skipped.
    """
    found: dict[str, tuple[str, ...]] = {}
    on_bad = refuse if selection.on_bad_row == "error" else lambda bad: None
    for source in sources:
        rows = read_rows(source, split=selection.split, subset=selection.subset, on_bad=on_bad)
        for number, row in enumerate(rows, start=1):
            progress(number, None)
            try:
                problem, demonstrations = demonstrations_of(row, selection.columns)
            except Unusable as reason:
                on_bad(BadRow(row.place, str(reason)))
                continue
            key = normalised(problem)
            found[key] = tuple(dict.fromkeys((*found.get(key, ()), *demonstrations)))
    return found


def short_enough(
    problems: Sequence[Problem], options: argparse.Namespace, filter_report: FilterReport, progress: Progress
) -> list[Problem]:
    """The problems whose prompts have at most `max_prompt_tokens` under the model's tokenizer and template.

    Raises:
        UsageError: for a model without tokenizer, and where none is short enough.
    """
    tokenizer = ModelSource(options.model, "model").tokenizer()
    kept = []
    for done, problem in enumerate(problems, start=1):
        progress(done, len(problems))
        if len(render(tokenizer, problem.problem, options.system_prompt)[0]) <= options.max_prompt_tokens:
            kept.append(problem)
        else:
            filter_report.drop("too long", f"their prompts exceed max_prompt_tokens = {options.max_prompt_tokens}")
    if not kept:
        raise UsageError(f"--max_prompt_tokens {options.max_prompt_tokens}: no prompt is so short: give a larger one")
    return kept


def row_of(problem: Problem, keep: Sequence[str]) -> dict[str, Any]:
    """A problem as a line of the output."""
    source = problem.metadata.get("source") or source_of(problem.place)
    row = {"problem": problem.problem, "answer": problem.answer, "source": source}
    row |= {"level": problem.level} if problem.level is not None else {}
    row |= {"demonstrations": problem.demonstrations} if problem.demonstrations else {}
    return row | {name: problem.metadata[name] for name in keep if name in problem.metadata}


def report_of(filter_report: FilterReport, parts: Mapping[str, Sequence[Problem]]) -> dict[str, Any]:
    """Everything that was counted and left out, for JSON."""
    return {
        "read": filter_report.read,
        "written": {name: len(part) for name, part in parts.items()},
        "with_demonstrations": sum(bool(problem.demonstrations) for part in parts.values() for problem in part),
        "left_out": dict(filter_report.counts),
        "listed": {reason: [vars(row) for row in rows] for reason, rows in filter_report.listed.items()},
        "compared": dict(filter_report.compared),
        "overlap": [
            {"row": problem.place, "problem": problem.problem, "answer": problem.answer} | vars(overlap)
            for problem, overlap in filter_report.overlaps
        ],
    }


def report_text(sources: str, filter_report: FilterReport, parts: Mapping[str, Sequence[Problem]]) -> str:
    """Counts for a reader: what was read, left out, found in benchmarks, written."""
    width = len(f"{filter_report.read:,}")
    lines = [f"{filter_report.read:,} rows of {sources}"]
    lines += [
        f"  {count:>{width},} left out, {filter_report.sentences[reason]}"
        for reason, count in filter_report.counts.items()
    ]
    if filter_report.compared:
        lines += ["", f"{'problems':>8} {'same text':>9} {'near':>5}  benchmark"]
        same = Counter(source_of(overlap.benchmark) for _, overlap in filter_report.overlaps if overlap.same)
        near = Counter(source_of(overlap.benchmark) for _, overlap in filter_report.overlaps if not overlap.same)
        for name, count in filter_report.compared.items():
            lines.append(f"{count:>8,} {same[name]:>9} {near[name]:>5}  {name}")
    lines.append("")
    for name, part in parts.items():
        levels = Counter(problem.level for problem in part if problem.level is not None)
        counts = [f"level {level}: {count:,}" for level, count in sorted(levels.items())]
        with_some = [len(problem.demonstrations) for problem in part if problem.demonstrations]
        counts += [f"{len(with_some):,} with {sum(with_some):,} demonstrations"] if with_some else []
        lines.append(f"{name}: {len(part):,} problems" + (f" ({', '.join(counts)})" if counts else ""))
    return "\n".join(lines) + "\n"


def listed_text(filter_report: FilterReport) -> str:
    """Every listed row, by reason; overlaps with both texts, so that a reader can judge."""
    lines: list[str] = []
    for reason, rows in filter_report.listed.items():
        if "benchmark" not in reason:
            lines += ["", f"{reason}: {len(rows)}", *(f"  {row.place}: {row.reason}" for row in rows)]
    if filter_report.overlaps:
        lines += ["", f"in or near a benchmark: {len(filter_report.overlaps)}"]
    for problem, overlap in filter_report.overlaps:
        why = "the same text" if overlap.same else f"{overlap.shared:.0%} of 13-grams shared"
        lines += [f"  {problem.place} and {overlap.benchmark}: {why}"]
        lines += [f"    here   {' '.join(problem.problem.split())}", f"    there  {' '.join(overlap.text.split())}"]
    return "\n".join(lines) + "\n" if lines else ""


if __name__ == "__main__":
    sys.exit(main())
