from mentor_pl.experiments.figures.curves import draw_curves


def lines(axes):
    return {line.get_label(): list(line.get_xdata()) for line in axes.lines}


def test_each_panel_draws_what_was_logged_and_nothing_else():
    metrics = {
        "val/maze/avg@8": {0: 0.1, 20: 0.4},
        "val/maze/pass@8": {0: 0.3, 20: 0.8},
        "train/on_policy/entropy": {1: 0.3, 2: 0.2},
        "train/on_policy/length": {1: 12.0},
        "train/mixed/length": {1: 14.0},
    }
    accuracy, entropy, length, guidance = draw_curves(metrics, "a run").axes
    assert lines(accuracy) == {"maze avg@8": [0, 20], "maze pass@8": [0, 20]}
    assert lines(entropy) == {"on-policy": [1, 2]}
    assert lines(length) == {"on-policy": [1], "mixed": [1]}
    assert lines(guidance) == {}
    assert [tick for axes in (entropy, length) for tick in axes.get_xticks() if tick % 1] == []  # a step is whole
    assert guidance.texts[0].get_text() == "nothing logged"


def test_runs_without_rollouts_of_the_policy_itself_have_their_curves_too():
    metrics = {
        "train/demonstration/length": {1: 26.0},
        "train/demonstration/entropy": {1: 0.4},
        "train/mixed/outcome": {1: 0.2},
        "train/alpha": {1: 1.0, 2: 0.9998},
    }
    accuracy, entropy, length, guidance = draw_curves(metrics, "a run").axes
    assert lines(accuracy) == {"training, mixed": [1]}
    assert lines(entropy) == lines(length) == {"traces": [1]}
    assert guidance.get_ylim()[1] > 1.01  # not hidden by the upper edge
