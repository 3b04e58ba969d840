"""Every YAML file in configs/ is one that `mentor fit` takes, or another command."""

import json
from pathlib import Path

import pytest
import yaml

from mentor_pl.cli.main import main
from mentor_pl.evaluation.paper_benchmarks import NINE
from mentor_pl.experiments.design.design import read_design
from mentor_pl.experiments.runner.runner import fit_arguments

ROOT = Path(__file__).parents[1]
BASES = {path.stem: path for path in sorted((ROOT / "configs").glob("*.yaml"))}
PROBES = [ROOT / f"configs/experiments/{command}.yaml" for command in ("gate_truth", "token_importance")]
DESIGNS = sorted(set((ROOT / "configs/experiments").glob("*.yaml")) - set(PROBES))
OF_TESTBED = sorted((ROOT / "configs/testbed").glob("*.yaml"))
PATH_STAR = ROOT / "configs/testbed/path_star.yaml"
OVERLAYS = sorted(set((ROOT / "configs").glob("*/*.yaml")) - {*DESIGNS, *PROBES, *OF_TESTBED})
METHODS = [path for path in OVERLAYS if path.parent.name == "algorithms"]


def merged(capsys, *files, options=()):
    """The merged configuration of `mentor fit` over `files`."""
    with pytest.raises(SystemExit) as left:
        main(["fit", *(word for file in files for word in ("--config", str(file))), *options, "--print_config"])
    assert left.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


KNOWN = {}


def plain_of(capsys, *files, options=()):
    """Likewise, of files that many tests begin with."""
    if files not in KNOWN:
        KNOWN[files] = merged(capsys, *files, options=options)
    return KNOWN[files]


def check_wins(overlay, changed):
    """Sees that the settings of an overlay, which are returned, are those of what it was put over."""
    settings = yaml.safe_load(overlay.read_text())
    assert settings
    for group, values in settings.items():
        for name, value in values.items():
            if not isinstance(value, dict) and not name.endswith("+"):
                assert changed[group][name] == value
    return settings


# methods are run on the quick start: tests/configs/test_every_algorithm.py
@pytest.mark.parametrize(
    "overlay", sorted(set(OVERLAYS) - set(METHODS)), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_overlay_parses_over_the_quick_start_and_wins(overlay, capsys):
    plain, changed = plain_of(capsys, BASES["quickstart"]), merged(capsys, BASES["quickstart"], overlay)
    settings = check_wins(overlay, changed)
    assert plain["trainer"]["logger"] == changed["trainer"]["logger"]
    if "train" not in settings.get("data", {}):  # a model may have problems of its own
        assert plain["data"]["train"] == changed["data"]["train"]


@pytest.mark.parametrize("overlay", OVERLAYS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_overlay_parses_over_the_paper_configuration_and_wins(overlay, capsys):
    files, problems = (BASES["math"], ROOT / "configs/models/qwen2.5-3b.yaml"), '{"data": {"train": "math.jsonl"}}'
    plain, config = plain_of(capsys, *files, problems), merged(capsys, *files, problems, overlay)
    if "train" not in check_wins(overlay, config).get("data", {}):
        assert config["data"]["train"] == "math.jsonl"
    added = len(yaml.safe_load(overlay.read_text()).get("trainer", {}).get("callbacks+", []))
    callbacks, before = config["trainer"]["callbacks"], plain["trainer"]["callbacks"]
    assert (callbacks[: len(before)], len(callbacks)) == (before, len(before) + added)


def left_over(before, after):
    """Settings of a class in one YAML that a later one leaves as they are."""
    if not isinstance(before, dict) or not isinstance(after, dict) or before["class_path"] != after["class_path"]:
        return set()
    before, after = before.get("init_args", {}), after.get("init_args", {})
    inner = [left_over(before[name], after[name]) for name in before.keys() & after.keys()]
    return (before.keys() - after.keys()).union(*inner)


def test_a_method_leaves_nothing_of_the_one_before_it_but_mentors_variants_add_up():
    methods = {path.stem: yaml.safe_load(path.read_text())["model"]["algorithm"] for path in METHODS}
    for name, method in methods.items():
        if method["class_path"].endswith(".Mentor") and name not in ("mentor", "mentor_released"):
            continue  # said at the start of a run, as whatever departs from the paper
        assert {other: left for other in methods if (left := left_over(methods[other], method))} == {}, name


@pytest.mark.parametrize(
    ("first", "then"), [("gspo", "grpo"), ("mixture_ratio", "mentor"), ("no_asymmetry", "mentor_released")]
)
def test_so_the_later_method_is_what_it_is_alone(first, then, capsys):
    folder = ROOT / "configs/algorithms"
    both = merged(capsys, BASES["quickstart"], folder / f"{first}.yaml", folder / f"{then}.yaml")
    alone = merged(capsys, BASES["quickstart"], folder / f"{then}.yaml")
    assert both["model"]["algorithm"] == alone["model"]["algorithm"]


def test_the_paper_configuration_parses_with_its_models(capsys):
    model = ROOT / "configs/models/qwen2.5-3b.yaml"
    config = merged(capsys, BASES["math"], model, options=["--data.train", "math.jsonl"])
    assert config["model"]["expert"] == "open-r1/OpenR1-Qwen-7B"
    algorithm = config["model"]["algorithm"]
    assert algorithm["class_path"] == "mentor_pl.algorithms.mentor.Mentor"
    assert {name: algorithm["init_args"][name] for name in ("on_policy", "mixed", "fidelity")} == {
        "on_policy": 4,
        "mixed": 4,
        "fidelity": "paper",
    }


def test_the_benchmarks_configuration_parses_with_a_policy_alone_and_has_all_nine(capsys):
    with pytest.raises(SystemExit) as left:
        main(["validate", "--config", str(BASES["benchmarks"]), "--model.policy", "some/model", "--print_config"])
    assert left.value.code == 0
    (callback,) = yaml.safe_load(capsys.readouterr().out)["trainer"]["callbacks"]
    benchmarks = callback["init_args"]["benchmarks"]
    assert [benchmark["class_path"] for benchmark in benchmarks] == [
        f"mentor_pl.evaluation.paper_benchmarks.{kind.__name__}" for kind in NINE
    ]
    assert benchmarks[1]["init_args"]["sampling"]["temperature"] == 0.6


def test_every_configuration_opens_with_a_comment_that_says_what_it_needs():
    for path in [*BASES.values(), *OVERLAYS, *DESIGNS, *PROBES]:
        assert path.read_text(encoding="utf-8").startswith("# "), path


@pytest.mark.parametrize("path", PROBES, ids=lambda path: path.stem)
def test_the_commands_that_look_at_tokens_take_the_files_named_for_them(path, capsys):
    with pytest.raises(SystemExit) as left:
        main([path.stem, "--config", str(path), "--print_config"])
    assert left.value.code == 0
    settings, printed = yaml.safe_load(path.read_text()), yaml.safe_load(capsys.readouterr().out)
    for name, value in settings.items():
        assert name == "problems" or printed[name] == value
    assert printed["problems"]["init_args"]["limit"] == settings["problems"]["limit"]


def test_the_testbeds_families_and_benchmarks_are_taken(capsys):
    families = [path for path in OF_TESTBED if "policies" in yaml.safe_load(path.read_text())]
    for path in families:
        with pytest.raises(SystemExit) as left:
            main(["testbed", "family", "--config", str(path), "--print_config"])
        assert left.value.code == 0
    assert "prior: 0.001" in capsys.readouterr().out
    added = ROOT / "configs/testbed/final_benchmarks.yaml"
    assert {added, PATH_STAR} == set(OF_TESTBED) - set(families)
    before, after = (merged(capsys, BASES["quickstart"], *more)["trainer"]["callbacks"] for more in ((), (added,)))
    assert after[:-1] == before
    assert [one["init_args"]["name"] for one in after[-1]["init_args"]["benchmarks"]] == [
        "maze32",
        "maze_cool",
        "large",
    ]


def test_path_star_is_the_quick_start_with_other_models_problems_and_rewards(capsys):
    mentor = ROOT / "configs/algorithms/mentor.yaml"
    before, after = (merged(capsys, BASES["quickstart"], *more, mentor) for more in ((), (PATH_STAR,)))
    kept, put = before["trainer"]["callbacks"], after["trainer"]["callbacks"]
    assert [one["class_path"] for one in kept] == [one["class_path"] for one in put]
    measured = {"callbacks.BenchmarkValidation", "callbacks.benchmark_validation.BenchmarkValidation"}
    changed = [theirs["class_path"] for ours, theirs in zip(kept, put, strict=True) if ours != theirs]
    assert len(changed) == 1 and changed[0] in measured
    (benchmark,) = next(one for one in put if one["class_path"] in measured)["init_args"]["benchmarks"]
    measured_on = {name: benchmark["init_args"][name] for name in ("name", "path")}
    assert measured_on == {"name": "path_star", "path": "data/path_star/heldout.jsonl"}
    assert after["data"]["train"] == "data/path_star/train.jsonl"
    assert before["model"] | {"policy": "", "expert": ""} == after["model"] | {"policy": "", "expert": ""}
    assert benchmark["init_args"]["reward"] == after["data"]["reward"]
    assert str(after).count("data/path_star") == 4 and "maze" not in str(after)


@pytest.mark.parametrize("path", DESIGNS, ids=lambda path: path.stem)
def test_every_design_can_be_run_and_mentor_fit_takes_its_cells(path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    design = read_design(path)
    # methods and settings set different keys: each method in one setting, and each setting of one method
    cells = {one.method: one for one in reversed(design.cells())} | {one.setting: one for one in design.cells()}
    for cell in set(cells.values()):
        with pytest.raises(SystemExit) as left:
            main([*fit_arguments(cell, Path("runs")), "--print_config"])
        assert left.value.code == 0
        config = yaml.safe_load(capsys.readouterr().out)
        assert config["data"]["steps"] == design.steps
        assert config["trainer"]["logger"]["init_args"]["version"] == f"seed{cell.seed}"


@pytest.mark.parametrize("base", ["math", "quickstart"])
def test_grpo_over_any_configuration_is_plain_grpo_without_an_expert(base, capsys):
    """Whatever the configuration before it says of an algorithm, nothing of it is left."""
    mine = {"model": {"algorithm": {"class_path": "mentor_pl.algorithms.mentor.Mentor", "init_args": {"mixed": 2}}}}
    files = [str(BASES[base]), str(ROOT / "configs/models/qwen2.5-3b.yaml"), json.dumps(mine)]
    words = [word for file in [*files, str(ROOT / "configs/algorithms/grpo.yaml")] for word in ("--config", file)]
    with pytest.raises(SystemExit) as left:
        main(["fit", *words, "--data.train", "math.jsonl", "--print_config"])
    assert left.value.code == 0
    model = yaml.safe_load(capsys.readouterr().out)["model"]
    assert model["expert"] is None
    assert model["algorithm"]["class_path"] == "mentor_pl.algorithms.grpo.GRPO"
    plain = {"group_size": 8, "loss": None, "eps": 1e-6, "advantage": "standardised", "top_entropy": 1.0}
    assert model["algorithm"]["init_args"] == plain


def test_two_nodes_share_a_copy_of_the_policy_each(capsys):
    config = merged(capsys, BASES["quickstart"], ROOT / "configs/trainer/fsdp_2nodes.yaml")["trainer"]
    assert config["strategy"]["init_args"]["shard_size"] == config["devices"]
