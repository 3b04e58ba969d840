"""A reward that cannot read the gold answers, or that accepts anything, is found."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from mentor_pl.cli.doctor import rewards
from mentor_pl.cli.doctor.report import Level
from mentor_pl.cli.doctor.rewards import gold_response, try_out
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.code import CodeReward
from mentor_pl.rewards.countdown import CountdownReward
from mentor_pl.rewards.format import FormatReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.types import Prompt, Response

MAZE = "blocked c01 c12 c33 goal c20 start c02"


def levels(findings: list[rewards.Finding]) -> list[Level]:
    return [finding.level for finding in findings if finding.level != Level.DETAIL]


@pytest.mark.parametrize(
    ("reward", "prompt"),
    [
        (MathReward(workers=1), Prompt(0, "", r"\frac{1}{2}", ())),
        (ChoiceReward(), Prompt(0, "", "(b)", ())),
        (ChoiceReward(), Prompt(0, "", "C", (), metadata={"choices": ["none of these", "1", "2"]})),
        (MazeReward(), Prompt(0, MAZE, "L X L D", ())),
        (PaperReward(ChoiceReward()), Prompt(0, "", "D", (), response_prefix="<think>\n")),
    ],
    ids=["math", "choice", "choices", "maze", "paper"],
)
def test_the_gold_answer_is_right_and_nothing_else_is(reward: Reward, prompt: Prompt) -> None:
    if isinstance(reward, MazeReward):  # c02 → c03 → c13 … has no four moves; this one has: L is blocked, so down first
        prompt = Prompt(0, "blocked c00 c01 c33 goal c20 start c02", "D D L L", ())
    found = try_out(reward, [prompt])
    reward.close()
    assert levels(found) == [Level.OK] * 3, found
    assert found[0].text.startswith("gold answers as responses: 1 of 1 graded right")
    assert found[1].text.startswith("empty responses: 0 of 1 graded right")


def test_the_papers_format_is_kept_whether_or_not_the_template_has_opened_it() -> None:
    reward = PaperReward(ChoiceReward())
    for prefix in ("", "<think>", "<think>\n"):
        prompt = Prompt(0, "", "B", (), response_prefix=prefix)
        text = gold_response(reward, prompt)
        assert text is not None
        assert reward([prompt], [Response(text)]).total == [1.0]


def test_answers_that_the_grader_cannot_read_are_a_problem_with_the_first_of_them() -> None:
    prompts = [Prompt(i, MAZE, "north", ()) for i in range(5)]
    gold, *details = try_out(MazeReward(), prompts)[:5]
    assert gold.level is Level.PROBLEM
    assert gold.text.startswith("gold answers as responses: 0 of 5 graded right")
    assert "data.select.columns.answer" in gold.remedy
    assert [one.text.split(":")[0] for one in details] == ["problem 0", "problem 1", "problem 2", "and 2 more"]
    assert "gold 'north'" in details[0].text


class Whatever(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt: Prompt, response: Response) -> Grade:
        return Grade(1.0)


def test_a_reward_that_accepts_anything_is_a_problem() -> None:
    found = try_out(Whatever(), [Prompt(0, "", "1", (), demonstrations=("so 1",))])
    assert levels(found) == [Level.OK, Level.PROBLEM, Level.PROBLEM]
    assert found[1].text.startswith("empty responses: 1 of 1 graded right")


@pytest.mark.parametrize(
    ("reward", "metadata"),
    [
        (CountdownReward(), {"numbers": [3, 8]}),
        (PaperReward(CountdownReward()), {"numbers": [3, 8]}),
        (CodeReward(allow_execution=True, workers=1), {"tests": "assert f(1) == 2"}),
        (FormatReward(), {}),
    ],
    ids=["countdown", "within", "code", "format"],
)
def test_where_no_right_response_can_be_made_that_is_said(reward: Reward, metadata: dict[str, object]) -> None:
    found = try_out(reward, [Prompt(0, "", "24", (), metadata=metadata)])
    reward.close()
    assert found[0].level is Level.WARNING
    assert "no right response can be made of the data for 1 of 1 problems" in found[0].text
    assert Level.PROBLEM not in levels(found) or isinstance(reward, FormatReward)


def test_a_demonstration_stands_in_for_a_gold_answer() -> None:
    prompt = Prompt(
        0, "", "24", (), "<think>", {"numbers": [3, 8]}, demonstrations=(r"<think>so</think> \boxed{3 * 8}",)
    )
    assert gold_response(CountdownReward(), prompt) == r"so</think> \boxed{3 * 8}"
    assert levels(try_out(PaperReward(CountdownReward()), [prompt])) == [Level.OK] * 3


def test_a_grade_that_never_comes_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    class Never(Whatever):
        def grade(self, prompt: Prompt, response: Response) -> Future[Grade]:  # type: ignore[override]
            return Future()

    monkeypatch.setattr(rewards, "SECONDS", 0.01)
    found = try_out(Never(), [Prompt(7, "", "1", ())])
    assert "could not grade problem 7: no grade came for 0.01 s" in found[1].text
    assert found[1].level is Level.PROBLEM
