from dataclasses import replace

import pytest
from experiment_results import grid, results_of, small_design

from mentor_pl.experiments.design.design import Method
from mentor_pl.experiments.figures.drawing import Drawing, save_figures
from mentor_pl.experiments.figures.figures import draw_figures

HEIGHTS = {"mentor": 0.6, "grpo": 0.4}


def height(cell):
    return HEIGHTS[cell.method] + 0.1 * (cell.seed - 2)


@pytest.fixture
def drawn(tmp_path):
    """Options of the design -> figures, and why others are missing."""

    def draw(accuracy=height, logged=(), **changes):
        design = small_design(tmp_path, **changes)
        return draw_figures(design, results_of(design, accuracy, **dict(logged)))

    return draw


def test_curves_are_means_over_seeds_with_a_band_of_one_standard_error(drawn):
    figures, _ = drawn(logged={"val__maze__entropy": lambda cell: 0.5})
    accuracy, entropy = figures["curves"].axes
    assert [list(line.get_ydata()) for line in accuracy.lines] == [pytest.approx([0, h, h]) for h in (0.6, 0.4)]
    band = accuracy.collections[0].get_paths()[0].vertices
    # Seeds at .5, .6, .7: standard deviation .1, standard error .1 / √3.
    assert (band[:, 1].min(), band[:, 1].max()) == pytest.approx((0.0, 0.6 + 0.1 / 3**0.5))
    assert entropy.get_title() == "entropy (nats per token)\nval/maze/entropy"


def test_every_seed_is_a_point_beside_the_interquartile_mean(drawn):
    figures, _ = drawn()
    (axes,) = figures["seeds"].axes
    mentor, grpo = axes.collections
    assert sorted(mentor.get_offsets()[:, 0]) == pytest.approx([0.5, 0.6, 0.7])
    assert sorted(grpo.get_offsets()[:, 0]) == pytest.approx([0.3, 0.4, 0.5])
    assert axes.lines[1].get_xdata() == pytest.approx([0.6])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["mentor", "grpo"]


def test_pass_at_k_has_a_point_for_every_k_that_was_measured(drawn):
    logged = {f"val__maze__pass@{k}": (lambda cell, k=k: k / 10) for k in (8, 1, 2)}
    figures, missing = drawn(logged=logged)
    (axes,) = figures["pass_at"].axes
    assert list(axes.lines[0].get_xdata()) == [1, 2, 8]
    assert list(axes.lines[0].get_ydata()) == pytest.approx([0.1, 0.2, 0.8])
    assert "pass_at" not in missing


def test_words_are_bars_of_every_method(drawn):
    figures, _ = drawn(logged={"val__maze__words__check": lambda cell: 0.25 * cell.seed})
    (axes,) = figures["words"].axes
    assert [patch.get_height() for patch in axes.patches] == pytest.approx([0.5, 0.5])


def test_what_was_not_logged_is_left_out_with_the_remedy(drawn):
    figures, missing = drawn()
    assert set(figures) == {"seeds", "curves", "cost"}
    assert "pass_at: [1, 2, 4, 8, 16, 32]" in missing["pass_at"]
    assert "name `words`" in missing["words"]


def test_without_finished_runs_there_is_no_figure(drawn):
    figures, missing = drawn(accuracy=lambda cell: None)
    assert figures == {}
    assert set(missing.values()) == {"no run has finished"}


def test_a_method_without_finished_runs_leaves_the_others_their_figures(drawn):
    figures, _ = drawn(accuracy=lambda cell: height(cell) if cell.method == "grpo" else None)
    assert set(figures) == {"seeds", "curves", "cost"}


def test_cost_is_what_had_been_spent_when_the_metric_was_measured(drawn, tmp_path):
    design = small_design(tmp_path, seeds=(1, 2))
    results = results_of(design, height)
    spent = {"cost/sampled_tokens": {1: 10.0, 2: 20.0, 3: 30.0, 4: 40.0}, "cost/seconds/update": {2: 3.0, 4: 5.0}}
    spent["cost/seconds/sampling"] = {2: 1.0, 4: 2.0}
    results = [replace(one, metrics={**one.metrics, **spent}) for one in results]
    tokens, flops, seconds = draw_figures(design, results)[0]["cost"].axes
    first, second, mean = tokens.lines[:3]
    assert [list(line.get_xdata()) for line in (first, second, mean)] == [[0, 20, 40]] * 3
    assert list(first.get_ydata()) == pytest.approx([0, 0.5, 0.5])
    assert list(mean.get_ydata()) == pytest.approx([0, 0.55, 0.55])
    assert list(seconds.lines[2].get_xdata()) == [0, 4, 7]
    assert flops.get_xlabel() == "work of reading tokens (FLOP)"


def test_every_setting_has_its_row_and_every_method_its_look(drawn):
    names = [f"m{number}" for number in range(9)]
    figures, _ = drawn(
        accuracy=lambda cell: 0.5,
        methods=dict.fromkeys(names, Method()),
        baseline="m0",
        comparisons=(),
        settings={"p": grid("0.1", "0.2")},
    )
    assert [axes.get_title() for axes in figures["seeds"].axes][1].endswith("[p=0.2]")
    looks = {(line.get_color(), line.get_linestyle()) for line in figures["curves"].axes[0].lines}
    assert len(looks) == len(names)


def test_figures_are_written_twice_and_the_same_each_time(drawn, tmp_path):
    for folder in ("one", "two"):
        figures, _ = drawn()
        save_figures({"seeds": figures["seeds"]}, tmp_path / folder)
    assert (tmp_path / "one/seeds.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "one/seeds.svg").read_bytes() == (tmp_path / "two/seeds.svg").read_bytes()


def test_words_and_pass_at_k_are_of_the_benchmark_that_measures_most_of_them(tmp_path):
    design = small_design(tmp_path)  # of val/maze
    results = results_of(design, lambda cell: 0.5)
    more = {f"val/late/pass@{k}": {4: 0.5} for k in (1, 2, 4)} | {"val/maze/pass@8": {4: 0.5}}
    words = {f"val/{name}/words/check": {4: 0.5} for name in ("alike", "maze")}
    drawing = Drawing(design, [replace(one, metrics={**one.metrics, **more, **words}) for one in results])
    assert drawing.of_benchmark("pass@") == ("val/late", ["1", "2", "4"])
    assert drawing.of_benchmark("words/") == ("val/maze", ["check"])  # as many as the other's, and the primary's
    assert drawing.of_benchmark("nothing/") == ("val/maze", [])
