"""What the commands that look at single tokens share: which responses they look at, and what they write."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mentor_pl.decoding.sampler import Sampler
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.experiments.figures.drawing import save_figures
from mentor_pl.experiments.report.document import Block, to_markdown
from mentor_pl.experiments.tokens.responses import Labelled, Labels, read_annotated, sample
from mentor_pl.models.loading import Models
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.folders import check_folder
from mentor_pl.runtime.progress import Progress
from mentor_pl.runtime.ranges import check, check_seed


def check_probe(problems: Benchmark, labels: Labels | None, out: Path, seed: int) -> None:
    """Refuse what no tokens can be looked at with.

    Raises:
        UsageError: for greedy sampling, labels that cannot be called, a folder that cannot be written to, or a seed out
            of range.
    """
    warm = "tokens are scored as they are sampled"
    check("problems.sampling.temperature", problems.sampling.temperature, above=0, because=warm)
    if labels is not None:
        try:
            inspect.signature(labels).bind("", [])
        except TypeError as error:
            raise UsageError(
                f"labels is {labels!r:.80}, which does not take a problem and the words of a response ({error}): give "
                "a function of these two"
            ) from None
    check_folder("out", out)
    check_seed("seed", seed)


def responses_of(
    models: Models,
    problems: Benchmark,
    labels: Labels | None,
    annotations: Path | None,
    sampler: Sampler,
    seed: int,
    progress: Progress,
) -> list[Labelled]:
    """Those of the file `annotations` where there is one, else sampled ones, labelled by `labels` if that is given.

    Call it inside `decoding(models.policy)`; the arguments are those of the commands.

    Raises:
        UsageError: for problems or annotations that cannot be read, or labels that do not fit.
    """
    prompts = problems.load(models.tokenizer, models.vocabulary.window)
    if annotations is not None:
        return read_annotated(models, problems, prompts, annotations)
    return sample(models, problems, prompts, labels, sampler, seed, progress)


def write_probe(
    out: Path,
    summary: Mapping[str, Any],
    figure: Figure,
    blocks: Sequence[Block],
    lines: Iterable[Mapping[str, Any]],
    names: tuple[str, str, str],
) -> None:
    """Write the summary, the figure, report.md and the lines into `out`.

    Args:
        out: folder.
        summary, figure, blocks, lines: what is written.
        names: of summary, figure and lines, without suffix.

    Raises:
        UsageError: where they cannot be written.
    """
    try:
        save_figures({names[1]: figure}, out)
        (out / f"{names[0]}.json").write_text(json.dumps(summary, indent=1) + "\n", "utf-8")
        (out / "report.md").write_text(to_markdown(blocks), "utf-8")
        with (out / f"{names[2]}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    except OSError as error:
        raise UsageError(f"out is '{out}', which cannot be written to ({error.strerror}): name another") from error
    print(f"report  {out / 'report.md'}")
