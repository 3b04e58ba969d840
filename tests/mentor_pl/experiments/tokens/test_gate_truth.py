import json

import pytest
from scipy.stats import mannwhitneyu
from yaml import safe_load

from mentor_pl.cli.main import main
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.experiments.tokens.gate_truth import gate_truth
from mentor_pl.runtime.errors import UsageError

MOVES = "UDLR"


def moves(problem, words):
    """Moves of the attempts are decisions; of what stands in the box nothing is said."""
    boxed = words.index("\\boxed{") if "\\boxed{" in words else len(words)
    return [word in MOVES if place < boxed else None for place, word in enumerate(words)]


@pytest.fixture
def looked_at(small_testbed, tmp_path):
    """(out, …) -> gate_truth.json of the small testbed."""

    def run(out="out", **changes):
        sampling = SamplingParams(temperature=changes.pop("temperature", 1.0), max_new_tokens=40)
        problems = Benchmark("maze", str(small_testbed / "heldout.jsonl"), samples=3, sampling=sampling)
        policies = {"base": str(small_testbed / "policy"), "trained": str(small_testbed / "expert")}
        arguments = {"policies": policies, "expert": str(small_testbed / "expert"), "labels": moves} | changes
        gate_truth(problems, out=tmp_path / out, **arguments)
        return json.loads((tmp_path / out / "gate_truth.json").read_text("utf-8"))

    return run


def test_a_reader_can_compute_every_area_from_the_tokens_that_are_kept(looked_at, tmp_path):
    found = looked_at()["policies"]
    lines = [json.loads(line) for line in (tmp_path / "out/tokens.jsonl").read_text("utf-8").splitlines()]
    assert list(found) == ["base", "trained"]
    for policy, numbers in found.items():
        mine = [line for line in lines if line["policy"] == policy]
        assert len(mine) == numbers["responses"] == 12
        tokens = [
            (label, {name: values[place] for name, values in line["scores"].items()})
            for line in mine
            for place, label in enumerate(line["labels"])
        ]
        assert all(len(line["tokens"]) == len(line["labels"]) for line in mine)
        assert sum(label is None for label, _ in tokens) == numbers["unlabelled_tokens"]
        for name, area in numbers["auc"].items():
            ones, zeros = ([scores[name] for label, scores in tokens if label is kind] for kind in (True, False))
            expected = mannwhitneyu(ones, zeros).statistic / len(ones) / len(zeros)
            assert area["auc"] == pytest.approx(expected, abs=1e-12), (policy, name)
            assert area["interval"][0] <= area["auc"] <= area["interval"][1]
        assert numbers["decisions"] == len(ones) / numbers["labelled_tokens"]
    # A policy that is the expert is nowhere far from it
    assert all(abs(value) < 1e-5 for line in mine for value in line["scores"]["forward KL"])


def test_the_same_seed_gives_the_same_files_and_another_one_other_tokens(looked_at, tmp_path):
    policies = {"base": looked_at("first")["settings"]["policies"]["base"]}
    for out, seed in (("again", 0), ("one", 0), ("other", 1)):
        looked_at(out, policies=policies, seed=seed) if out != "again" else looked_at(out)
    files = ("gate_truth.json", "tokens.jsonl", "report.md", "roc.png", "roc.svg")
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name
    first, one, other = ((tmp_path / out / "tokens.jsonl").read_text("utf-8") for out in ("first", "one", "other"))
    assert first.startswith(one)  # what one policy says does not depend on which others are looked at
    assert one != other


def test_labelled_responses_of_a_file_are_scored_in_place_of_sampled_ones(looked_at, tmp_path, small_testbed):
    problem = json.loads((small_testbed / "heldout.jsonl").read_text("utf-8").splitlines()[1])["problem"]
    line = {"problem": problem, "response": "<think> try U c00", "labels": [False, None, True, False]}
    (tmp_path / "labels.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    found = looked_at(labels=None, annotations=tmp_path / "labels.jsonl")["policies"]["base"]
    assert (found["responses"], found["labelled_tokens"], found["unlabelled_tokens"]) == (1, 3, 1)
    assert found["auc"]["entropy"] == {"auc": 1.0, "interval": None}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"labels": None}, "needs labels, a function, or annotations, .*: give one"),
        ({"annotations": "labels.jsonl"}, "and not both: give one"),
        ({"policies": {}}, "policies is {}: give at least one"),
        ({"temperature": 0.0}, "problems.sampling.temperature is 0.0, but .*: give more than 0"),
        ({"seed": -1}, "seed is -1, but it seeds"),
        ({"labels": lambda problem, words: [True] * len(words)}, "policy base: (\\d+) of \\1 labelled tokens are deci"),
        ({"labels": lambda problem, words: [None] * len(words)}, "policy base: 0 of 0 labelled tokens are decisions"),
        ({"labels": len}, "labels is <built-in function len>, which does not take a problem and the words .*: give a"),
        ({"labels": lambda problem, words: []}, "labels of .*test_gate_truth, problem 0, are 0 values for"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_line(looked_at, changes, what):
    with pytest.raises(UsageError, match=what) as error:
        looked_at(**changes)
    assert "\n" not in str(error.value)


SETTINGS = """
problems: {name: maze, path: data/testbed/heldout.jsonl, samples: 2, sampling: {max_new_tokens: 24}}
policies: {base: data/testbed/policy}
expert: data/testbed/expert
labels: labels_of_gate_truth.labels
out: out
"""


def test_the_command_takes_labels_from_a_module_of_the_users(testbed_project, capsys):
    code = "def labels(problem, words):\n    return [word in 'UDLR' for word in words]\n"
    (testbed_project / "labels_of_gate_truth.py").write_text(code, "utf-8")
    (testbed_project / "gates.yaml").write_text(SETTINGS, "utf-8")
    assert main(["gate_truth", "--config", "gates.yaml"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "report  out/report.md"
    assert main(["gate_truth", "--config", "gates.yaml", "--labels", "labels_of_gate_truth.label"]) == 2
    assert "labels: module 'labels_of_gate_truth' has no 'label'" in capsys.readouterr().err
    assert main(["gate_truth", "--config", "gates.yaml", "--labels", "labels_of_gate_truth"]) == 2
    assert "'labels_of_gate_truth' is not the import path of a class or function" in capsys.readouterr().err


def test_the_problems_may_be_a_benchmark_of_its_own_class(testbed_project, capsys):
    (testbed_project / "gates.yaml").write_text(
        SETTINGS.replace("labels_of_gate_truth.labels", "os.path.join"), "utf-8"
    )
    math = ["--problems", "mentor_pl.evaluation.paper_benchmarks.Math500", "--problems.limit", "2"]
    with pytest.raises(SystemExit) as left:
        main(["gate_truth", "--config", "gates.yaml", *math, "--print_config"])
    assert left.value.code == 0
    problems = safe_load(capsys.readouterr().out)["problems"]
    assert problems["class_path"] == "mentor_pl.evaluation.paper_benchmarks.Math500"
    assert problems["init_args"]["limit"] == 2
