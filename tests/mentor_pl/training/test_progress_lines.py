"""What a run says while it runs, where no progress bar can be seen."""

import logging
import re
import sys

import pytest
from lightning.pytorch.callbacks import RichProgressBar

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.activity import activity
from mentor_pl.training.progress_lines import ProgressLines, _time

BAR = {"enable_progress_bar": True}


class Worthless(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(0.0, {"outcome": 0.0, "format": float("the" in response.text)})


@pytest.fixture(autouse=True)
def spoken(caplog):
    caplog.set_level(logging.INFO)


def said(caplog):
    return [text for text in map(logging.LogRecord.getMessage, caplog.records) if text.startswith("step ")]


def test_the_first_step_and_the_last_are_told_of_however_fast_they_are_and_no_bar_is(run, caplog, capfd):
    run(steps=4, callbacks=[ProgressLines(1e6)], trainer_options=BAR).fit()
    assert "Epoch" not in "".join(capfd.readouterr())
    first, last = said(caplog)
    number = r"[\d,]+(\.\d+)?"
    assert re.fullmatch(
        rf"step 1 of 4: reward 0\.\d{{3}}, entropy 3\.\d{{3}}, length {number}, {number} tokens/s sampled, "
        rf"{number} s a step, about {number} s left",
        first,
    )
    assert last.startswith("step 4 of 4: ")
    assert "left" not in last
    assert activity.listener is None


def test_a_long_step_tells_how_many_rollouts_of_its_round_have_ended_and_how_fast_tokens_come(run, caplog):
    trained = run(steps=1, algorithm=Mentor(4, 4), callbacks=[ProgressLines(0)], trainer_options=BAR)
    trained.fit()
    within = [line for line in said(caplog) if "have ended" in line]
    told = [
        re.fullmatch(r"step 1 of 1: (\d+) of 16 rollouts of round ([12]) have ended, ([\d,]+) tokens .*", x)
        for x in within
    ]
    ended, rounds, tokens = zip(*((int(n.replace(",", "")) for n in match.groups()) for match in told), strict=True)
    assert sorted(set(rounds)) == [1, 2]
    assert max(ended) < 16
    assert max(tokens) <= 32 * 8
    assert max(tokens) > 32


def test_a_run_whose_bar_is_switched_off_says_nothing(run, caplog):
    run(callbacks=[ProgressLines(0)], trainer_options={"enable_progress_bar": False}).fit()
    assert said(caplog) == []


def test_on_a_terminal_the_bar_has_a_row_for_the_rollouts_and_no_line_is_added(run, caplog, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    rows = []

    class Bar(RichProgressBar):
        def refresh(self, *args, **options):
            rows.extend(task.description for task in self.progress.tasks)
            super().refresh(*args, **options)

    run(steps=2, algorithm=Mentor(4, 4), callbacks=[ProgressLines(0), Bar()], trainer_options=BAR).fit()
    assert said(caplog) == []
    assert {"round 1", "round 2"} <= set(rows)


def test_a_step_without_any_reward_says_which_parts_were_met_and_shows_a_response_once(run, caplog):
    data = {"reward": Worthless()}
    trained = run(steps=3, algorithm=GRPO(8), callbacks=[ProgressLines(1e6)], data_options=data, trainer_options=BAR)
    trained.fit()
    (line,) = [line for line in said(caplog) if "every reward is 0" in line]
    assert re.match(
        r'step 1: every reward is 0, of 32 rollouts; above 0 is outcome of 0, format of \d+\. The first response: "\w',
        line,
    )


def test_control_characters_of_a_response_are_shown_and_not_obeyed(run, caplog, monkeypatch):
    monkeypatch.setattr(
        "mentor_pl.training.rounds.as_response",
        lambda models, ids: type("R", (), {"text": "\x1b[2Jhi\n" + "x" * 400, "tokens": (1,), "truncated": False})(),
    )
    run(
        steps=1,
        algorithm=GRPO(8),
        callbacks=[ProgressLines()],
        data_options={"reward": Worthless()},
        trainer_options=BAR,
    ).fit()
    (line,) = [line for line in said(caplog) if "every reward is 0" in line]
    assert "\x1b" not in line
    assert "\n" not in line
    assert " … (411 characters)" in line  # those of the escapes among them


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4 s"), (38.2, "38 s"), (89.9, "90 s"), (720, "12 min"), (12600, "3.5 h")]
)
def test_times_are_told_in_the_unit_that_suits_them(seconds, text):
    assert _time(seconds) == text
