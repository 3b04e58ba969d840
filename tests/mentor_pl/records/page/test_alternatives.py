from __future__ import annotations

import numpy as np
import pytest
from recorded_runs import IDS, alternative, row, table

from mentor_pl.records.page.alternatives import alternatives_of

U, D, L = IDS["U"], IDS["D"], IDS["L"]


def test_lists_become_arrays_with_their_texts_wherever_their_rollout_lies() -> None:
    first = row(["try", "U"])
    second = row(
        ["try", "D", "<eos>"],
        alternatives=[
            alternative(1, policy={"U": 0.7, "D": 0.2}, expert={"D": 0.9}, mixture={"D": 0.5, "U": 0.4}),
            alternative(2, policy={"L": 1.0}, expert={"L": 1.0}, mixture={"L": 1.0}),
        ],
    )
    found = alternatives_of(table([first, second]), np.array([0, 2, 5]))
    assert found.at.tolist() == [3, 4]
    assert found.ids.tolist() == [[[U, D], [D, -1], [D, U]], [[L, -1], [L, -1], [L, -1]]]
    assert found.pieces.to_pylist() == ["U", "D", "D", "D", "U", "L", "L", "L"]
    assert found.probabilities[0] == pytest.approx(np.array([[0.7, 0.2], [0.9, np.nan], [0.5, 0.4]]), nan_ok=True)


def test_total_variation_is_half_the_sum_of_what_the_lists_differ_in() -> None:
    listed = [
        alternative(0, policy={"U": 0.7, "D": 0.3}, expert={"D": 0.9, "U": 0.1}),  # ½ (0.6 + 0.6)
        alternative(1, policy={"U": 0.6, "D": 0.2}, expert={"L": 0.5, "U": 0.5}),  # ½ (0.1 + 0.2 + 0.5 + 0.2)
        alternative(2, policy={"U": 1.0}, expert={"L": 1.0}),  # ½ (1 + 1)
    ]
    found = alternatives_of(table([row(["U", "D", "L"], alternatives=listed)]), np.array([0, 3]))
    assert found.total_variations() == pytest.approx([0.6, 0.5, 1.0])


def test_rollouts_without_any_are_no_mistake() -> None:
    found = alternatives_of(table([row(["U"])]), np.array([0, 1]))
    assert found.ids.shape == (0, 3, 0)
    assert found.pieces.to_pylist() == []
    assert found.total_variations().tolist() == []
