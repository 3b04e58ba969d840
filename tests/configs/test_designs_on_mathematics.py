"""The designs on mathematics over each of the models: each method the one it names, and none without a model."""

from pathlib import Path

import pytest
import yaml
from child_environment import ROOT

from mentor_pl.cli.main import main
from mentor_pl.experiments.design.design import read_design
from mentor_pl.experiments.runner.runner import fit_arguments

MODELS = sorted((ROOT / "configs/models").glob("*.yaml"))
DESIGNS = sorted((ROOT / "configs/experiments/math").glob("*.yaml"))
QWEN, LLAMA = (ROOT / f"configs/models/{name}.yaml" for name in ("qwen2.5-7b", "llama-3.1-8b"))


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)


def design(experiment, model):
    return read_design(Path(f"configs/experiments/math/{experiment}.yaml"), [str(model)])


def merged(capsys, plan, method):
    """The configuration of one of a method's cells, as `mentor fit` merges it."""
    cell = next(cell for cell in plan.cells() if cell.method == method)
    with pytest.raises(SystemExit) as left:
        main([*fit_arguments(cell, Path("runs")), "--print_config"])
    assert left.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize("path", DESIGNS, ids=lambda path: path.stem)
def test_mentor_fit_takes_every_method_over_one_model_and_every_model_with_one_method(path, model, capsys):
    plan, own = read_design(path, [str(model)]), yaml.safe_load(model.read_text(encoding="utf-8"))
    assert path.read_text(encoding="utf-8").startswith("# ")
    for method in plan.methods if model == LLAMA else [plan.baseline]:
        config = merged(capsys, plan, method)
        assert config["model"]["policy"] == own["model"]["policy"]
        assert config["model"]["expert"] in (own["model"].get("expert"), None)
        assert config["data"]["train"] == own.get("data", {}).get("train", "data/math/train.jsonl")
        assert config["data"]["steps"] == plan.steps
        assert config["trainer"]["devices"] == "auto"


@pytest.mark.parametrize("path", DESIGNS, ids=lambda path: path.stem)
def test_without_a_model_a_design_says_in_one_line_what_is_missing(path, capsys):
    assert main(["experiment", str(path), "--dry"]) == 2
    told = capsys.readouterr()
    (line,) = told.err.splitlines()
    assert line.startswith("mentor: error: model.policy is required, but no configuration of the design sets it")
    assert line.endswith("by --base, such as --base configs/models/qwen2.5-7b.yaml")
    assert not told.out


@pytest.mark.parametrize(
    ("method", "kind"), [("linear", "Linear"), ("cut_off", "CutOff"), ("constant", "Constant"), ("zero", "Constant")]
)
def test_alpha_moves_by_one_schedule_and_it_is_the_methods(method, kind, capsys):
    callbacks = merged(capsys, design("alpha_ablation", QWEN), method)["trainer"]["callbacks"]
    decays = [one for one in callbacks if one["class_path"] == "callbacks.AlphaDecay"]
    assert len(decays) == 1
    schedule = decays[0]["init_args"]["schedule"]
    assert schedule["class_path"] == f"mentor_pl.algorithms.parts.schedules.{kind}"
    if kind == "Constant":
        assert schedule["init_args"]["value"] == {"constant": 1.0, "zero": 0.0}[method]


def test_a_method_with_a_curriculum_of_its_own_keeps_it(capsys):
    config = merged(capsys, design("table1", QWEN), "questa")
    (decay,) = (one for one in config["trainer"]["callbacks"] if one["class_path"] == "callbacks.AlphaDecay")
    assert decay["init_args"]["schedule"] is None  # so the algorithm's
    assert config["model"]["expert"] is None


def test_the_gate_has_the_quantile_that_the_method_is_named_for(capsys):
    plan = design("gamma_sweep", LLAMA)
    for method in [name for name in plan.methods if name != "grpo"]:
        gate = merged(capsys, plan, method)["model"]["algorithm"]["init_args"]["gate"]
        assert method == f"p{gate['init_args']['p']:.2f}"


def test_llama_has_its_own_reward_problems_and_expert(capsys):
    config = merged(capsys, design("table1", LLAMA), "mentor")
    weights = config["data"]["reward"]["init_args"]
    assert (weights["outcome_weight"], weights["format_weight"]) == (0.8, 0.2)
    assert config["model"]["expert"] == "data/models/llama-3.1-8b-expert"
    assert config["data"]["train"] == "data/openr1/train.jsonl"
