import json

import pytest

from mentor_pl.cli.main import main
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.experiments.tokens.token_importance import choose, token_importance
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError


class FirstMove(Reward):
    """All that counts is the first move, the third token."""

    range = (0.0, 1.0)

    def grade(self, prompt, response):
        right = float(response.text.split()[2:3] in (["U"], ["L"]))
        return Grade(right, {"outcome": right})


def moves(problem, words):
    return [word in "UDLR" for word in words]


@pytest.fixture
def looked_at(small_testbed, tmp_path):
    """(out, …) -> token_importance.json, and the places, of the small testbed under a reward of known importance."""

    def run(out="out", **changes):
        sampling = SamplingParams(temperature=changes.pop("temperature", 1.0), max_new_tokens=16)
        problems = Benchmark(
            "maze", str(small_testbed / "heldout.jsonl"), FirstMove(), samples=1, sampling=sampling, limit=3
        )
        arguments = {"labels": moves, "places": None, "continuations": 24} | changes
        token_importance(problems, str(small_testbed / "policy"), out=tmp_path / out, **arguments)
        lines = (tmp_path / out / "places.jsonl").read_text("utf-8").splitlines()
        numbers = json.loads((tmp_path / out / "token_importance.json").read_text("utf-8"))
        return numbers, [json.loads(line) for line in lines]

    return run


def test_the_token_that_success_depends_on_is_found_and_no_other(looked_at, tmp_path):
    numbers, places = looked_at()
    assert [one["token"] for one in places if one["matters"]] == [2, 2, 2]
    for one in places:
        if one["token"] == 2:
            assert one["label"] is True
            # 0 or 1 behind each move, without noise: the spread is √(q (1 − q)) of the mass q of U and L
            assert one["successes"] == [24 * (move in "UL") for move in one["alternatives"]]
            mass = sum(p for p, move in zip(one["probabilities"], one["alternatives"], strict=True) if move in "UL")
            q = mass / sum(one["probabilities"])
            assert one["importance"] == pytest.approx((q * (1 - q)) ** 0.5)
            assert (one["range"], one["noise"]) == (1, 0)
        else:
            assert one["importance"] == 0
    assert numbers["matter"] == 3
    # later moves have as much entropy, and nothing depends on them
    assert numbers["high_and_not_important"] > 0
    assert numbers["low_and_important"] == 0
    text = (tmp_path / "out/report.md").read_text("utf-8")
    style = text.split("## High entropy")[1].split("## Low entropy")[0]
    assert style.count("⟦") == min(10, numbers["high_and_not_important"])
    assert "\nNone.\n" in text.split("## Low entropy")[1]


def test_a_low_entropy_that_much_depends_on_is_listed_with_the_token_in_context(looked_at, tmp_path):
    # Of the tokens' entropies all but the greatest are below their .999-quantile
    numbers, _ = looked_at(p=0.999)
    assert numbers["low_and_important"] >= 2
    missed = (tmp_path / "out/report.md").read_text("utf-8").split("## Low entropy")[1]
    assert missed.count("\n  <think> try ⟦") == numbers["low_and_important"]
    assert "U 0." in missed
    assert " → 1.00" in missed


def test_what_it_will_cost_is_said_before(looked_at, capsys):
    _, places = looked_at()
    tried = [len(one["alternatives"]) for one in places if one["successes"] is not None]
    error = capsys.readouterr().err
    assert f"{len(tried)} of {len(places)} places have a choice: {24 * sum(tried):,} continuations, about " in error


def test_the_same_seed_gives_the_same_files(looked_at, tmp_path):
    looked_at("first", places=12, continuations=4)
    looked_at("again", places=12, continuations=4)
    for name in ("token_importance.json", "places.jsonl", "report.md", "importance.png", "importance.svg"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_places_are_one_of_each_stratum_by_entropy():
    entropies = [[0.0, 0.9, 0.1], [0.8, 0.2, 0.7]]
    for seed in range(5):
        chosen = choose(entropies, 3, seed)
        assert chosen == sorted(chosen)
        strata = [{0.0, 0.1}, {0.2, 0.7}, {0.8, 0.9}]
        values = {entropies[response][token] for response, token in chosen}
        assert [len(values & stratum) for stratum in strata] == [1, 1, 1]
    assert len({tuple(choose(entropies, 3, seed)) for seed in range(20)}) > 1
    assert choose(entropies, None, 0) == choose(entropies, 99, 0) == [(r, t) for r in (0, 1) for t in (0, 1, 2)]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"places": 0}, "places is 0, but it counts tokens: give at least 1, or null for all"),
        ({"top": 1}, "top is 1, but the choice is between the tokens that are tried: give at least 2"),
        ({"floor": 1.0}, "floor is 1.0, but it is a probability"),
        ({"continuations": 1}, "continuations is 1, but their noise is estimated from each other: give at least 2"),
        ({"p": 1.0}, "p is 1.0, but a quantile lies strictly between 0 and 1"),
        ({"level": 0.0}, "level is 0.0, but it is a share of false alarms"),
        ({"annotations": "labels.jsonl"}, "labels and annotations are both given"),
        ({"temperature": 0.0}, "problems.sampling.temperature is 0.0, but "),
        ({"seed": -1}, "seed is -1, but it seeds"),
    ],
)
def test_settings_out_of_range_are_refused_in_a_line(looked_at, changes, what):
    with pytest.raises(UsageError, match=what) as error:
        looked_at(**changes)
    assert "\n" not in str(error.value)


def test_the_command_has_its_settings_from_yaml_and_looks_at_annotated_responses(testbed_project, capsys):
    problem = json.loads((testbed_project / "data/testbed/heldout.jsonl").read_text("utf-8").splitlines()[0])["problem"]
    line = {"problem": problem, "response": "<think> try U", "labels": [False, False, True]}
    (testbed_project / "labels.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    reward = (
        "{class_path: mentor_pl.rewards.paper.PaperReward, init_args: {outcome: mentor_pl.rewards.maze.MazeReward}}"
    )
    (testbed_project / "importance.yaml").write_text(
        "problems: {name: maze, path: data/testbed/heldout.jsonl, sampling: {max_new_tokens: 24}, reward: "
        + reward
        + "}\n"
        "policy: data/testbed/policy\nannotations: labels.jsonl\ncontinuations: 2\nout: out\n",
        "utf-8",
    )
    assert main(["token_importance", "--config", "importance.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "report  out/report.md"
    places = [json.loads(line) for line in (testbed_project / "out/places.jsonl").read_text("utf-8").splitlines()]
    assert [(one["said"], one["label"]) for one in places] == [("<think>", False), ("try", False), ("U", True)]
