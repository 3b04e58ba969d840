from __future__ import annotations

import numpy as np
import pytest
from recorded_runs import alternative, row, table

from mentor_pl.records.page.alternatives import alternatives_of
from mentor_pl.records.page.divergence import divergence_of

LISTED = alternatives_of(
    table([row(["U", "D"], alternatives=[alternative(1, policy={"U": 1.0}, expert={"D": 1.0})])]), np.array([0, 2])
)
NONE = alternatives_of(table([row(["U", "D"])]), np.array([0, 2]))
COLUMNS = {
    "logprobs": np.array([-1.0, -2.0]),
    "divergences": np.array([0.0, 3.0]),
    "expert_logprobs": np.array([-4.0, -0.5]),
}


@pytest.mark.parametrize(
    ("recorded", "listed", "name", "values"),
    [
        (("divergences", "expert_logprobs"), LISTED, "KL(π* ‖ π_θ)", [0, 3]),
        (("expert_logprobs",), LISTED, "|log π* − log π_θ|", [3, 1.5]),
        ((), LISTED, "total variation", [np.nan, 1]),
    ],
)
def test_the_best_that_is_recorded_is_taken_and_named(recorded, listed, name, values) -> None:
    found = divergence_of({key: COLUMNS[key] for key in ("logprobs", *recorded)}, listed)
    assert found is not None
    assert found.name == name
    assert found.values == pytest.approx(np.array(values), nan_ok=True)


def test_where_nothing_is_known_of_the_expert_there_is_none() -> None:
    assert divergence_of({"logprobs": COLUMNS["logprobs"]}, NONE) is None
