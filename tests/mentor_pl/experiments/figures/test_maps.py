import pytest
from experiment_results import grid, results_of, small_design

from mentor_pl.experiments.design.design import Comparison, Method
from mentor_pl.experiments.design.outcome import Outcome
from mentor_pl.experiments.figures.drawing import Drawing
from mentor_pl.experiments.figures.figures import draw_figures
from mentor_pl.experiments.figures.maps import draw_differences, draw_winners, ranking, tied

DIALS = {"prior": grid("0.1", "0.2", "0.3"), "distance": grid("1", "2")}
# mentor less grpo, by (prior, distance); seeds are alike but for a little that differs by seed and method
MARGINS = {("0.1", "1"): 0.2, ("0.2", "1"): -0.1, ("0.3", "1"): 0.0}


def height(cell):
    prior, distance = (part.partition("=")[2] for part in cell.setting.split(",")[:2])
    margin = MARGINS.get((prior, distance), 0.3)
    mine = {"mentor": margin, "grpo": 0.0}.get(cell.method, -0.2)
    apart = 0.01 * (cell.seed - 2) * (1 if cell.method == "mentor" else -1)
    return 0.5 + mine + apart


@pytest.fixture
def drawing(tmp_path):
    """Options of the design -> what is drawn from."""

    def make(accuracy=height, **changes):
        design = small_design(tmp_path, **({"settings": DIALS} | changes))
        return Drawing(design, results_of(design, accuracy))

    return make


def texts(axes):
    """Label of each cell by (x, y)."""
    return {text.get_position(): text.get_text() for text in axes.texts}


def test_differences_from_the_baseline_stand_at_their_dials(drawing):
    axes, _ = draw_differences(drawing()).axes
    assert axes.get_title() == "mentor"
    assert texts(axes) == {
        (0, 0): "+0.200",
        (1, 0): "−0.100",
        (2, 0): "+0.000",
        (0, 1): "+0.300",
        (1, 1): "+0.300",
        (2, 1): "+0.300",
    }
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.1", "0.2", "0.3"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("prior", "distance")
    (image,) = axes.images
    assert image.norm(0.0) == pytest.approx(0.5)  # no difference is the middle of the colours
    assert (image.norm.vmin, image.norm.vmax) == pytest.approx((-0.3, 0.3))


def test_the_best_method_is_named_with_the_second_and_marked_where_they_are_tied(drawing):
    shown = drawing()
    (axes,) = draw_winners(shown).axes
    found = texts(axes)
    assert found[0, 0] == "mentor 0.700\n> grpo 0.500"
    assert found[1, 0] == "grpo 0.500\n> mentor 0.400"
    assert sorted(found[2, 0].replace("= ", "").split("\n")) == ["grpo 0.500", "mentor 0.500"]
    assert "= " in found[2, 0]
    assert [patch.get_xy() for patch in axes.patches] == [(1.5, -0.5)]  # the hatched one
    assert tuple(axes.images[0].get_array()[0, 0][:3]) != tuple(axes.images[0].get_array()[0, 1][:3])


def test_where_all_claims_about_the_outcome_are_of_less_the_least_is_best(drawing):
    assert ranking(drawing(), "prior=0.1,distance=1")[0][0] == "mentor"
    less = drawing(comparisons=(Comparison("mentor", direction="less"),))
    assert ranking(less, "prior=0.1,distance=1")[0][0] == "grpo"
    of_another = Comparison("mentor", outcome=Outcome("val/maze/length"), direction="less")
    assert ranking(drawing(comparisons=(of_another,)), "prior=0.1,distance=1")[0][0] == "mentor"


def test_a_single_seed_tells_no_two_methods_apart(drawing):
    assert tied(drawing(seeds=(1,)), "prior=0.1,distance=1", "mentor", "grpo")


def test_a_cell_without_runs_stays_empty(drawing):
    shown = drawing(lambda cell: None if cell.setting == "prior=0.1,distance=1" else height(cell))
    assert (0, 0) not in texts(draw_winners(shown).axes[0])
    assert (0, 0) not in texts(draw_differences(shown).axes[0])


def test_further_grids_have_maps_of_their_own(drawing):
    third = {"length": grid("8", "9"), "one": grid("5")}
    methods = dict.fromkeys(["mentor", "grpo", "luffy"], Method())
    shown = drawing(settings=DIALS | third, methods=methods)
    titles = [axes.get_title() for axes in draw_differences(shown).axes]
    assert titles[:4] == ["mentor  [length=8]", "luffy  [length=8]", "mentor  [length=9]", "luffy  [length=9]"]
    assert [axes.get_title() for axes in draw_winners(shown).axes] == ["best mean  [length=8]", "best mean  [length=9]"]


def test_maps_are_drawn_of_two_dials_and_not_of_one(tmp_path):
    for settings, there in ((DIALS, True), ({"prior": grid("0.1", "0.2"), "distance": grid("1")}, False)):
        design = small_design(tmp_path, settings=settings)
        figures, missing = draw_figures(design, results_of(design, lambda cell: 0.5))
        assert ({"winners", "differences"} <= set(figures)) is there
        assert not {"winners", "differences"} & set(missing)
