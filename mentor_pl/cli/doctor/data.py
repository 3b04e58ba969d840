"""Problems: how many can be used, how long their prompts are, and how often the run goes through them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.report import Finding, ok, problem, warning
from mentor_pl.problems.prompts import LoadedPrompts
from mentor_pl.runtime.errors import UsageError


def examine(configuration: Configuration) -> list[Finding]:
    """The data module's own checks, then what can be told of the problems, then the benchmarks of callbacks."""
    data, tokenizer = configuration.data, configuration.tokenizer
    if tokenizer is None:
        return [warning("not read: prompts are measured in tokens, and the models have no tokenizer to share")]
    # as much of a Trainer as `setup` asks for
    learner = SimpleNamespace(
        tokenizer=tokenizer, vocabulary=configuration.vocabulary, mini_batches=configuration.arguments["mini_batches"]
    )
    data.trainer = cast(Any, SimpleNamespace(world_size=configuration.trainer.world_size, lightning_module=learner))
    findings: list[Finding] = []
    try:
        data.setup("fit")
    except UsageError as error:
        findings.append(problem(str(error)))
    try:
        configuration.problems = data.problems or data.load(tokenizer)
    except UsageError as error:
        return findings if str(error) in [one.text for one in findings] else [*findings, problem(str(error))]
    return [*findings, *_told(configuration, configuration.problems), *_benchmarks(configuration)]


def _told(configuration: Configuration, loaded: LoadedPrompts) -> list[Finding]:
    data, report, count = configuration.data, loaded.filter_report, len(loaded.prompts)
    level = ok if count == report.read else warning if count < report.read / 2 else ok
    findings = [level(f"{data.train}: {count:,} of {report.read:,} problems can be used")]
    findings += [warning(line) for line in report.lines(data.train)]
    lengths = [len(prompt.token_ids) for prompt in loaded.prompts]
    findings.append(
        ok(f"prompts of {min(lengths):,} to {max(lengths):,} tokens, of data.max_prompt_tokens = {data.max_prompt_tokens:,}")
    )
    wanted = data.steps * data.prompts_per_step
    findings.append(
        ok(f"{data.steps:,} steps × {data.prompts_per_step:,} problems = {wanted:,}: {wanted / count:.1f} times each")
    )
    if count >= data.prompts_per_step and not any(prompt.answer.strip() for prompt in loaded.prompts):
        findings.append(problem("no problem has an answer", "name its column: data.select.columns.answer"))
    return findings


def _benchmarks(configuration: Configuration) -> list[Finding]:
    """Callbacks that measure read their problems before training starts."""
    module: Any = SimpleNamespace(tokenizer=configuration.tokenizer, vocabulary=configuration.vocabulary)
    findings = []
    for callback in configuration.trainer.callbacks:  # type: ignore[attr-defined]
        benchmarks = getattr(callback, "benchmarks", ())
        if benchmarks and configuration.vocabulary is not None:
            try:
                callback.setup(configuration.trainer, module, "fit")
                findings.append(ok("benchmarks: " + ", ".join(one.name for one in benchmarks)))
            except UsageError as error:
                findings.append(problem(str(error)))
    return findings
