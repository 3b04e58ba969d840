"""`mentor data inspect`: the problems that a configuration trains on, one of them exactly as the model sees it."""

from __future__ import annotations

import json as json_format
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.rule import Rule
from rich.text import Text
from transformers import PreTrainedTokenizerBase

from mentor_pl.problems.filter_report import FilterReport
from mentor_pl.problems.prompts import LoadedPrompts
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.printable import printable
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule
from mentor_pl.types import Prompt

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS, _BAR = 10, 40
_SHOWN_PROMPT = 20  # rows listed per reason; bad ones are all listed


def inspect(
    model: MentorModule,
    data: RolloutDataModule,
    trainer: dict[str, Any] | None = None,
    seed_everything: Any = None,
    threads: Any = None,
    ckpt_path: Any = None,
    resume: Any = None,
    resume_changes: Any = None,
    weights_only: Any = None,
    row: int | None = None,
    json: str | None = None,
) -> None:
    """Show what `mentor fit` with the same files and options trains on: one prompt as the model sees it, and the rest.

    Put `data inspect` in place of `fit`. Of the models only tokenizer and configuration are read.

    Args:
        model: as for `fit`. Without a configuration file, --model.policy FOLDER and --data.train FILE are enough.
        data: as for `fit`, such as --data.train FILE --data.max_prompt_tokens 512.
        trainer: of a configuration for `fit`; not used.
        seed_everything: of a configuration for `fit`; not used.
        threads: likewise.
        ckpt_path: of a configuration for `fit`; not used.
        resume: likewise.
        resume_changes: likewise.
        weights_only: of a configuration for `fit`; not used.
        row: number of the row whose prompt is shown, from 0; by default the first that is kept.
        json: also write everything to this file, with every row listed.

    Raises:
        UsageError: for data that cannot be read, a row that is left out, or a file that cannot be written.
    """
    problems = data.load(model.tokenizer)
    prompt = _chosen(problems, row)
    console = Console(highlight=False, soft_wrap=True)
    _print_counts(console, data.train, problems)
    _print_lengths(console, [len(one.token_ids) for one in problems.prompts])
    _print_levels(console, problems.filter_report)
    _print_listed(console, problems.filter_report)
    _print_prompt(console, prompt, model.tokenizer)
    if json is not None:
        report = _report(data.train, problems, prompt, model.tokenizer)
        try:
            Path(json).parent.mkdir(parents=True, exist_ok=True)
            Path(json).write_text(json_format.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as problem:
            raise UsageError(f"--json {json}: cannot be written ({problem}): name another file") from problem
        console.print(f"\nwrote {json}")


def _chosen(problems: LoadedPrompts, row: int | None) -> Prompt:
    if row is None:
        return problems.prompts[0]
    nearest = min(problems.prompts, key=lambda prompt: abs(prompt.index - row))
    if nearest.index != row:
        read = problems.filter_report.read
        what = "was left out" if 0 <= row < read else f"is not among the {read} rows"
        raise UsageError(f"--row: row {row} {what}; the nearest one that is kept is {nearest.index}")
    return nearest


def _print_counts(console: Console, source: str, problems: LoadedPrompts) -> None:
    filter_report = problems.filter_report
    console.print(f"{source}: {len(problems.prompts)} of {filter_report.read} rows are trained on", style="bold")
    width = len(str(filter_report.read))
    for reason, count in filter_report.counts.items():
        console.print(f"  {count:>{width}} left out, {filter_report.sentences[reason]}")
    if filter_report.repeated:
        console.print(f"  {filter_report.repeated:>{width}} kept although they repeat an earlier problem")
    traced = [len(prompt.demonstrations) for prompt in problems.prompts if prompt.demonstrations]
    if traced:
        console.print(f"  {len(traced):>{width}} with demonstrations of an expert, {sum(traced)} in all")


def _print_lengths(console: Console, lengths: list[int]) -> None:
    console.print("\nprompt tokens", style="bold")
    values = _quantiles(lengths)
    console.print("  " + "   ".join(f"{name} {value}" for name, value in values.items()))
    lowest, span = min(lengths), max(lengths) - min(lengths) + 1
    width = math.ceil(span / _BINS)
    counts = Counter((length - lowest) // width for length in lengths)
    for place in range(math.ceil(span / width)):
        low, count = lowest + place * width, counts[place]
        bar = "█" * round(_BAR * count / max(counts.values())) or ("▏" if count else "")
        console.print(f"  {low:>7} – {low + width - 1:<7} {count:>7} {bar}")


def _print_levels(console: Console, filter_report: FilterReport) -> None:
    known = sorted((level, count) for level, count in filter_report.levels.items() if level is not None)
    if known:
        unknown = filter_report.levels[None]
        console.print("\nlevels", style="bold")
        parts = [f"{level}: {count}" for level, count in known] + ([f"unknown: {unknown}"] if unknown else [])
        console.print("  " + "   ".join(parts))


def _print_listed(console: Console, filter_report: FilterReport) -> None:
    for reason, rows in filter_report.listed.items():
        console.print(f"\n{reason}", style="bold")
        shown = rows if reason == "bad row" else rows[:_SHOWN_PROMPT]
        for one in shown:
            console.print(Text(_shown(f"  {one.place}: {one.reason}")))
        if len(shown) < len(rows):
            console.print(f"  and {len(rows) - len(shown)} more; --json FILE lists them all")


def _print_prompt(console: Console, prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> None:
    console.print(Rule(f"row {prompt.index} as the model sees it, {len(prompt.token_ids)} tokens"))
    special = {token for token in tokenizer.all_special_tokens if token}
    text = Text(_shown(_text(prompt, tokenizer)))
    text.highlight_words(special, "bold magenta")
    console.print(text)
    console.print(Rule("token ids"))
    console.print(" ".join(map(str, prompt.token_ids)))
    console.print(Rule())
    console.print(Text(_shown(f"reference answer   {prompt.answer}")))
    console.print(Text(f"response prefix    {repr(prompt.response_prefix) if prompt.response_prefix else 'nothing'}"))
    for trace in prompt.demonstrations:
        short = trace if len(trace) <= 100 else f"{trace[:60]} … {trace[-30:]}"
        console.print(Text(f"expert trace       {short!r}, {len(trace)} characters"))


def _shown(text: str) -> str:
    """As a terminal may get it."""
    return printable(text, keep="\n\t")


def _text(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> str:
    return str(tokenizer.decode(list(prompt.token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _quantiles(lengths: list[int]) -> dict[str, int]:
    names = ["min" if q == 0 else "max" if q == 1 else f"{q:.0%}" for q in QUANTILES]
    return {
        name: int(value) for name, value in zip(names, np.quantile(lengths, QUANTILES, method="nearest"), strict=True)
    }


def _report(source: str, problems: LoadedPrompts, prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    filter_report = problems.filter_report
    return {
        "source": source,
        "read": filter_report.read,
        "kept": len(problems.prompts),
        "left_out": dict(filter_report.counts),
        "listed": {reason: [vars(row) for row in rows] for reason, rows in filter_report.listed.items()},
        "repeated": filter_report.repeated,
        "prompt_tokens": _quantiles([len(one.token_ids) for one in problems.prompts]),
        "levels": {str(level): count for level, count in filter_report.levels.items()},
        "demonstrations": sum(len(one.demonstrations) for one in problems.prompts),
        "prompt": {
            "row": prompt.index,
            "text": _text(prompt, tokenizer),
            "token_ids": list(prompt.token_ids),
            "response_prefix": prompt.response_prefix,
            "answer": prompt.answer,
            "demonstrations": list(prompt.demonstrations),
        },
    }
