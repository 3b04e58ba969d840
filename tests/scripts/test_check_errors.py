"""The check of wrong settings passes what ends as it should and nothing else."""

import pytest
from check_errors import AT_LEAST, CASES
from faults.wrong import CPU_SECONDS, Case, judge, prepare, run, words_of

CASE = Case("range", "fit --model.alpha=.nan", "model.alpha is nan|give at least 0")
LINE = "Seed set to 1\nmentor: error: model.alpha is nan, but it weighs advantages: give at least 0\n"


def test_one_line_with_key_value_and_remedy_passes():
    assert judge(CASE, 2, LINE, 5.0).passed


@pytest.mark.parametrize(
    ("status", "told", "seconds", "fault"),
    [
        (1, LINE, 5.0, "status 1"),
        (0, "", 5.0, "status 0"),
        (2, "Traceback (most recent call last):\n" + LINE, 5.0, "a traceback"),
        (2, LINE + LINE, 5.0, "2 lines of error"),
        (2, LINE + "and more\n", 5.0, "another behind it"),
        (2, LINE.replace("give at least 0", "no"), 5.0, "no 'give at least 0'"),
        (2, LINE.replace("nan", "bad"), 5.0, "no 'model.alpha is nan'"),
        (2, LINE, CPU_SECONDS + 1, "slow"),
    ],
)
def test_anything_else_fails_and_says_why(status, told, seconds, fault):
    outcome = judge(CASE, status, told, seconds)
    assert not outcome.passed
    assert fault in outcome.seen


def test_there_are_enough_cases_of_every_kind_and_each_names_what_the_line_must_have():
    assert len(CASES) >= AT_LEAST
    assert len({(case.command, case.prepare) for case in CASES}) == len(CASES)
    assert all(part for case in CASES for part in case.says.split("|"))
    commands = {words_of(case)[3] if "mentor_pl.cli" in words_of(case) else "a script" for case in CASES}
    assert commands >= {"fit", "validate", "test", "grade", "data", "testbed", "a script"}


def test_a_case_is_tried_in_a_folder_of_its_own_with_its_processor_time(tmp_path):
    case = Case("other", "fti", "'fti'|did you mean 'fit'")
    prepare(case, tmp_path / "case", tmp_path, "trainer: {}\n")
    status, told, seconds = run(case, tmp_path / "case")
    assert judge(case, status, told, seconds).passed
    assert 0 < seconds < CPU_SECONDS
