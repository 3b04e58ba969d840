"""The reward on ten problems: the gold answer as a response must be right, an empty and a wrong one must not."""

from __future__ import annotations

import time
from collections.abc import Sequence

from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.report import Finding, detail, ok, problem, warning
from mentor_pl.problems.prompts import THINK, continuation
from mentor_pl.rewards.base import Grade, Grading, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

PROBLEMS = 10
SECONDS = 60.0  # that a grade may take
EMPTY, WRONG = "", r"\boxed{qqqq}"  # which no gold answer is
_SHOWN = 3
_UNREAD = (
    "see that data.select.columns.answer holds what the reward reads, or take another data.reward (docs/rewards.md)"
)
_FOOLED = "a policy is rewarded for writing this: mend the reward"


def examine(configuration: Configuration) -> list[Finding]:
    """Grade what is known to be right or wrong."""
    reward = configuration.data.reward
    if configuration.problems is None:
        return [warning("not tried: there are no problems to try it on")]
    prompts = configuration.problems.prompts
    try:
        return try_out(reward, prompts[:: -(-len(prompts) // PROBLEMS)])
    finally:
        reward.close()


def try_out(reward: Reward, prompts: Sequence[Prompt]) -> list[Finding]:
    """What `reward` makes of gold, empty and wrong responses to these problems."""
    name = type(reward).__name__
    golds = [(prompt, text) for prompt in prompts if (text := gold_response(reward, prompt)) is not None]
    findings = []
    if golds:
        findings += _tried(reward, golds, "gold answers as responses", right=True)
    if len(golds) < len(prompts):
        findings.append(
            warning(
                f"{name}: no right response can be made of the data for {len(prompts) - len(golds)} of {len(prompts)} "
                "problems, so whether right answers are accepted is not known",
                "grade some by hand, or give data.select.columns.demonstrations",
            )
        )
    for what, text in (("empty responses", EMPTY), ("wrong responses", WRONG)):
        findings += _tried(reward, [(prompt, _formed(prompt, text)) for prompt in prompts], what, right=False)
    return findings


def gold_response(reward: Reward, prompt: Prompt) -> str | None:
    """A response that must be right: the reward's own example, behind closed thoughts, or else a demonstration."""
    example = reward.example(prompt)
    if example is not None:
        return _formed(prompt, example)
    if not prompt.demonstrations:
        return None
    return continuation(prompt, prompt.demonstrations[0])


def _formed(prompt: Prompt, text: str) -> str:
    """In the paper's format, without what the template has already written."""
    opened = "" if prompt.response_prefix.startswith(THINK) else f"{THINK}\n"
    return f"{opened}</think>\n{text}" if text else ""


def _tried(reward: Reward, pairs: Sequence[tuple[Prompt, str]], what: str, *, right: bool) -> list[Finding]:
    """Whether all of these are graded as they must be; if not, the first that are not."""
    wrong: list[Finding] = []
    seconds: list[float] = []
    for prompt, text in pairs:
        started = time.perf_counter()
        try:
            grades = reward.gather([prompt], [reward.submit(prompt, Response(text))], Grading(timeout=SECONDS))
        except UsageError as error:
            return [problem(str(error), "mend the reward, or see what it needs")]
        grade = Grade(grades.total[0], {name: part[0] for name, part in grades.parts.items()})
        seconds.append(time.perf_counter() - started)
        if is_right(reward, grade) != right:
            wrong.append(
                detail(f"problem {prompt.index}: total {grade.total:g} for {text!r:.120}, gold {prompt.answer!r:.80}")
            )
    count = len(pairs)
    first, others = 1000 * seconds[0], 1000 * sum(seconds[1:]) / max(1, count - 1)
    passed = count - len(wrong) if right else len(wrong)
    told = f"{what}: {passed} of {count} graded right ({first:.0f} ms, then {others:.0f} ms each)"
    if not wrong:
        return [ok(told)]
    remedy = _UNREAD if right else _FOOLED
    more = [detail(f"and {len(wrong) - _SHOWN} more")] if len(wrong) > _SHOWN else []
    return [problem(told, remedy), *wrong[:_SHOWN], *more]


def is_right(reward: Reward, grade: Grade) -> bool:
    """By the part that benchmarks count, or else by the greatest total."""
    outcome = grade.parts.get("outcome")
    return (grade.total >= reward.range[1]) if outcome is None else outcome == 1
