"""The designs for Qwen2.5-3B, Qwen2.5-7B and LLaMA-3.1-8B: alike but for the model, each cell the method it names.

That `mentor fit` takes all their cells is tested with every other design, in tests/test_configs.py.
"""

from pathlib import Path

import pytest
import yaml
from child_environment import ROOT

from mentor_pl.cli.main import main
from mentor_pl.experiments.design import read_design
from mentor_pl.experiments.runner import fit_arguments

MODELS = {"qwen2.5-3b": "Qwen2.5-3B", "qwen2.5-7b": "Qwen2.5-7B", "llama-3.1-8b": "LLaMA-3.1-8B"}
EXPERIMENTS = ["table1", "gamma_sweep", "alpha_ablation"]
TRAIN = "data.train"


@pytest.fixture(autouse=True)
def at_home(monkeypatch):
    monkeypatch.chdir(ROOT)


def design(experiment, model):
    return read_design(Path(f"configs/experiments/{experiment}-{model}.yaml"))


def merged(capsys, plan, method):
    """The configuration of one of a method's cells, as `mentor fit` merges it."""
    cell = next(cell for cell in plan.cells() if cell.method == method)
    with pytest.raises(SystemExit) as left:
        main([*fit_arguments(cell, Path("runs")), "--print_config"])
    assert left.value.code == 0
    return yaml.safe_load(capsys.readouterr().out)


def without_its_model(plan, model):
    plain = plan.canonical()
    plain["question"] = plain["question"].replace(MODELS[model], "a model")
    plain["base"] = [name for name in plain["base"] if "configs/models/" not in name]
    plain["overrides"].pop(TRAIN)
    plain["contents"] = sorted(name for name in plain["contents"] if "configs/models/" not in name)
    return plain


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_is_the_same_on_each_model(experiment):
    first, *others = (without_its_model(design(experiment, model), model) for model in MODELS)
    assert all(other == first for other in others)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
@pytest.mark.parametrize("model", MODELS)
def test_a_design_names_its_own_model(experiment, model):
    plan = design(experiment, model)
    assert [name for name in plan.base if "configs/models/" in name] == [f"configs/models/{model}.yaml"]
    assert MODELS[model] in plan.question


@pytest.mark.parametrize(
    ("method", "kind"), [("linear", "Linear"), ("cut_off", "CutOff"), ("constant", "Constant"), ("zero", "Constant")]
)
def test_alpha_moves_by_one_schedule_and_it_is_the_methods(method, kind, capsys):
    callbacks = merged(capsys, design("alpha_ablation", "qwen2.5-7b"), method)["trainer"]["callbacks"]
    decays = [one for one in callbacks if one["class_path"] == "callbacks.AlphaDecay"]
    assert len(decays) == 1
    schedule = decays[0]["init_args"]["schedule"]
    assert schedule["class_path"] == f"mentor_pl.algorithms.parts.schedules.{kind}"
    if kind == "Constant":
        assert schedule["init_args"]["value"] == {"constant": 1.0, "zero": 0.0}[method]


def test_a_method_with_a_curriculum_of_its_own_keeps_it(capsys):
    config = merged(capsys, design("table1", "qwen2.5-3b"), "questa")
    (decay,) = (one for one in config["trainer"]["callbacks"] if one["class_path"] == "callbacks.AlphaDecay")
    assert decay["init_args"]["schedule"] is None  # so the algorithm's
    assert config["model"]["expert"] is None


def test_the_gate_has_the_quantile_that_the_method_is_named_for(capsys):
    plan = design("gamma_sweep", "llama-3.1-8b")
    for method in [name for name in plan.methods if name != "grpo"]:
        gate = merged(capsys, plan, method)["model"]["algorithm"]["init_args"]["gate"]
        assert method == f"p{gate['init_args']['p']:.2f}"


def test_llama_has_its_own_reward_and_expert(capsys):
    config = merged(capsys, design("table1", "llama-3.1-8b"), "mentor")
    weights = config["data"]["reward"]["init_args"]
    assert (weights["outcome_weight"], weights["format_weight"]) == (0.8, 0.2)
    assert config["model"]["expert"] == "data/models/llama-3.1-8b-expert"
