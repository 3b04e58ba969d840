"""What is told of the problems, by the data module's own checks."""

from __future__ import annotations

from collections.abc import Callable

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.data import examine
from mentor_pl.cli.doctor.report import Finding, Level

Read = Callable[..., Configuration]


def texts(findings: list[Finding], level: Level) -> list[str]:
    return [finding.text for finding in findings if finding.level is level]


def test_counts_lengths_and_epochs_are_told(configuration: Read) -> None:
    settings = configuration("--data.prompts_per_step", "8")
    told = texts(examine(settings), Level.OK)
    assert told[0].endswith("words.jsonl: 40 of 40 problems can be used")
    assert told[1] == "prompts of 4 to 4 tokens; max_prompt_tokens is 8"  # <s> and three words
    assert told[2] == "30 steps × 8 problems: each 6.0 times"
    assert settings.problems is not None


def test_the_first_prompt_is_shown_token_by_token_and_what_it_has_opened(configuration: Read) -> None:
    (first, opened) = texts(examine(configuration("--data.template", "{problem} <think>")), Level.DETAIL)
    assert first.startswith("the first begins <s>|try|")
    assert first.endswith("|<think>")
    assert opened == "so '<think>' opens every response, and graders count it in"


def test_what_the_data_module_refuses_is_a_problem_and_the_rest_is_told(configuration: Read) -> None:
    found = examine(configuration("--data.prompts_per_step", "1"))
    (text,) = texts(found, Level.PROBLEM)
    assert text.startswith("data.prompts_per_step is 1, but each of model.mini_batches = 2 updates needs a problem")
    assert "40 of 40" in texts(found, Level.OK)[0]
    (text,) = texts(examine(configuration("--data.sampling.max_new_tokens", "1000")), Level.PROBLEM)
    assert text.startswith("max_prompt_tokens + max_new_tokens = 1008, but the models attend to 512")
    (text,) = texts(examine(configuration("--data.prompts_per_step", "64")), Level.PROBLEM)
    assert "40 usable problems, fewer than data.prompts_per_step = 64" in text


def test_both_refusals_are_told_where_there_are_two(configuration: Read) -> None:
    found = texts(
        examine(configuration("--data.prompts_per_step", "1", "--data.max_prompt_tokens", "3")), Level.PROBLEM
    )
    assert len(found) == 2
    assert "all 40 prompts are longer" in found[1]


def test_without_a_tokenizer_nothing_is_read(configuration: Read) -> None:
    (text,) = texts(examine(configuration("--model.policy", "./nothing")), Level.WARNING)
    assert text.startswith("not read")
