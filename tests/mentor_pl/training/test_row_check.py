"""Rows that cannot be are refused in one line, before anything of their round is sampled."""

import pytest
from collecting import EIGHT, GivenRounds, Learner, ScriptedSampler, gather, row

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.row_check import RowCheck
from mentor_pl.types import Origin

FOUR = (1, 1, 1, 1)  # as many tokens as a response may have


@pytest.mark.parametrize(
    ("rounds", "message"),
    [
        ([], "algorithm GivenRounds asked for no rollouts"),
        ([[row(EIGHT, 1, probe=True)]], "algorithm GivenRounds asked for no rollouts"),
        ([[row(EIGHT, 1), row(EIGHT, 1)]], "asked twice for rollout 1 of problem 8"),
        ([[row(EIGHT, 1)], [row(EIGHT, 1)]], "asked twice for rollout 1 of problem 8"),
        ([[row(EIGHT, 0, origin=Origin.MIXTURE)]], "asked for a mixture rollout, but has no blend"),
        ([[row(EIGHT, 0), row(EIGHT, 1, origin=Origin.DEMONSTRATION, given=(1,))]], "demonstration that is not comp"),
        ([[row(EIGHT, 0, complete=True)]], "rollout 0 of problem 8 complete, but without tokens"),
        ([[row(EIGHT, 0, given=FOUR)]], "gave 4 tokens of rollout 0 of problem 8, but a response has at most 4"),
    ],
)
def test_rounds_that_cannot_be_are_refused_in_one_line(models, rounds, message):
    good = [rows for rows in rounds[:-1] if rows] + [rows for rows in rounds[-1:] if rows[0].probe]
    sampler = ScriptedSampler([[1] * len(rows) for rows in good])  # and fails where it is called once more
    with pytest.raises(UsageError, match=message) as refused:
        gather(Learner(models, algorithm=GivenRounds(*rounds)), sampler)
    assert "\n" not in str(refused.value)


def test_a_whole_response_may_be_given_and_all_but_one_token_of_one():
    rows = [row(EIGHT, 0, origin=Origin.DEMONSTRATION, given=FOUR, complete=True), row(EIGHT, 1, given=FOUR[:3])]
    check = RowCheck(GRPO(), 4)
    assert check(rows) is rows
    assert check(None) is None
    check.end([EIGHT])
