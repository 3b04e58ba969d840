from dataclasses import replace

import pytest
from experiment_results import ACCURACY, results_of, small_design

from mentor_pl.experiments.design.outcome import Criterion
from mentor_pl.experiments.figures.bounds import draw_criteria
from mentor_pl.experiments.figures.drawing import Drawing

CURVES = {1: [0.1, 0.5, 0.45], 2: [0.1, 0.6, 0.4], 3: [0.1, 0.5, 0.5]}  # falls .05, .2, 0


@pytest.fixture
def drawn(tmp_path):
    def draw(*criteria, curves=CURVES):
        design = small_design(tmp_path, criteria=criteria)
        results = [
            replace(
                one,
                metrics={
                    ACCURACY: dict(zip((0, 2, 4), curves[one.cell.seed], strict=True)),
                    "cell/cpu_seconds": {4: 50.0 + one.cell.seed},
                },
            )
            for one in results_of(design, lambda cell: 0.5)
        ]
        return draw_criteria(Drawing(design, results))

    return draw


def test_every_seed_has_its_curve_and_the_worst_the_line_that_it_must_not_go_below(drawn):
    curves, points = drawn(Criterion("grpo", ACCURACY, "fall", at_most=0.08)).axes
    assert [list(line.get_ydata()) for line in curves.lines if line.get_linestyle() == "-"] == list(CURVES.values())
    (floor,) = [line for line in curves.lines if line.get_linestyle() == "--"]
    assert list(floor.get_ydata()) == pytest.approx([0.02, 0.52, 0.52])  # .1, .6, .6 less .08
    assert [text.get_text() for text in curves.get_legend().get_texts()] == [
        *("seed 2, the worst", "best before less 0.08"),
    ]
    assert list(points.collections[0].get_offsets()[:, 0]) == pytest.approx([0.05, 0.2, 0.0])
    colours = [tuple(colour) for colour in points.collections[0].get_facecolors()]
    assert colours[0] == colours[2] != colours[1]
    assert list(points.lines[0].get_xdata()) == [0.08, 0.08]
    assert points.get_title() == f"grpo: not met\n{ACCURACY}, largest fall below the best before"


def test_what_is_measured_once_has_points_alone(drawn):
    curves, points = drawn(Criterion("grpo", "cell/cpu_seconds", at_most=60)).axes
    assert not curves.axison
    assert list(points.collections[0].get_offsets()[:, 0]) == [51.0, 52.0, 53.0]


def test_without_a_run_of_the_method_there_is_no_figure(tmp_path):
    design = small_design(tmp_path, criteria=(Criterion("grpo", ACCURACY, at_most=1),))
    results = results_of(design, lambda cell: None)
    assert draw_criteria(Drawing(design, results)) == "no run has what a criterion is about"
