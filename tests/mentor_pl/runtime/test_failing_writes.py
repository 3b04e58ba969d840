import warnings

import pytest

from mentor_pl.runtime.failing_writes import FailingWrites


def test_the_first_failure_is_named_and_the_others_are_passed_over(tmp_path):
    writes, missing = FailingWrites("RolloutRecord", "steps are lost"), tmp_path / "no/file"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            with writes:
                missing.write_text("text")
    (one,) = told
    assert str(one.message) == (
        f"RolloutRecord cannot write to {missing} (No such file or directory): the run goes on, and steps are lost; "
        "further failures are not named"
    )


def test_an_error_that_is_no_disks_is_the_callers():
    with pytest.raises(ValueError, match="ours"), FailingWrites("RolloutRecord", "steps are lost"):
        raise ValueError("ours")
