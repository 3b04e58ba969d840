"""What the figure of absorbed tokens shows: medians by age, and the last scores."""

import pytest

from mentor_pl.experiments.figures.absorbed import draw_absorbed
from mentor_pl.records.absorbed import Replaced, scored_rows


def test_medians_by_age_and_the_last_scores():
    import pyarrow as pa

    tokens = [Replaced(1, 0, 0, number, 4, 2, 7, 8, "a", "b", (3,), 1.0, -3.0, -1.0) for number in range(3)]
    rows = [
        scored_rows(tokens, [-2.5, -2.0, -0.5], [-1.0, -1.5, -2.0], scored_at=1),
        scored_rows(tokens[:1], [-1.0], [-4.0], scored_at=5),
    ]
    by_age, then_now = draw_absorbed(pa.concat_tables(rows)).axes
    expert, draft = by_age.get_lines()[:2]
    assert (expert.get_label(), draft.get_label()) == ("the expert's token", "the draft")
    assert list(expert.get_xdata()) == [1, 5]
    assert list(expert.get_ydata()) == pytest.approx([1.0, 2.0])  # medians of 0.5, 1, 2.5 and of 2
    assert list(draft.get_ydata()) == pytest.approx([-0.5, -3.0])
    assert [list(map(float, points.get_offsets()[0])) for points in then_now.collections] == [[-3, -1], [-1, -4]]
