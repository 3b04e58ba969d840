"""Problems: how many can be used, how long their prompts are, and how often the run goes through them."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from transformers import PreTrainedTokenizerBase

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.report import Finding, detail, ok, problem, warning
from mentor_pl.problems.prompts import LoadedPrompts
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt

_SHOWN = 6  # tokens at a prompt's beginning, and at its end


def examine(configuration: Configuration) -> list[Finding]:
    """The data module's own checks, then what can be told of the problems, then the benchmarks of callbacks."""
    data, tokenizer = configuration.data, configuration.tokenizer
    if tokenizer is None:
        return [warning("not read: prompts are measured in tokens, and the models have no tokenizer to share")]
    # as much of a Trainer as `setup` asks for
    learner = SimpleNamespace(
        tokenizer=tokenizer,
        vocabulary=configuration.vocabulary,
        mini_batches=configuration.arguments["mini_batches"],
        algorithm=configuration.algorithm,
    )
    data.trainer = cast(Any, SimpleNamespace(world_size=configuration.trainer.world_size, lightning_module=learner))
    refused: list[str] = []
    for check in (lambda: data.setup("fit"), lambda: _load(configuration)):
        try:
            check()
        except UsageError as error:
            refused.append(str(error))
    findings = [problem(text) for text in dict.fromkeys(refused)]
    if configuration.problems is None:
        return findings
    return [*findings, *_told(configuration, configuration.problems), *_benchmarks(configuration)]


def _load(configuration: Configuration) -> None:
    data = configuration.data
    assert configuration.tokenizer is not None
    configuration.problems = data.problems or data.load(configuration.tokenizer)


def _told(configuration: Configuration, loaded: LoadedPrompts) -> list[Finding]:
    data, report, count = configuration.data, loaded.filter_report, len(loaded.prompts)
    lengths = [len(prompt.token_ids) for prompt in loaded.prompts]
    wanted = data.steps * data.prompts_per_step
    return [
        ok(f"{data.train}: {count:,} of {report.read:,} problems can be used"),
        *map(warning, report.lines(data.train)),
        ok(f"prompts of {min(lengths):,} to {max(lengths):,} tokens; max_prompt_tokens is {data.max_prompt_tokens:,}"),
        *_first(configuration, loaded.prompts[0]),
        ok(f"{data.steps:,} steps × {data.prompts_per_step:,} problems: each {wanted / count:.1f} times"),
    ]


def _first(configuration: Configuration, prompt: Prompt) -> list[Finding]:
    """Where a prompt begins and ends, token by token: what a template does to it."""
    tokenizer = configuration.tokenizer
    assert tokenizer is not None
    found = [ends(tokenizer, prompt.token_ids)]
    if prompt.response_prefix:
        opened = prompt.response_prefix.strip()
        found.append(detail(f"so {opened!r} opens every response, and graders count it in"))
    return found


def ends(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> Finding:
    """The first and the last tokens of a prompt."""
    tokens = [repr(tokenizer.decode([i]))[1:-1] for i in ids]
    return detail(f"the first begins {'|'.join(tokens[:_SHOWN])} and ends {'|'.join(tokens[-_SHOWN:])}")


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
