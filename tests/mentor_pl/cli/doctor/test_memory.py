"""The sum against the device, and options that make it fit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mentor_pl.cli.doctor import memory
from mentor_pl.cli.doctor.configuration import Configuration
from mentor_pl.cli.doctor.memory import estimate_of, examine, graders, plan_of
from mentor_pl.cli.doctor.report import Level
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward
from mentor_pl.rewards.paper import PaperReward
from mentor_pl.training.fitting import fitting
from mentor_pl.training.memory import CUDA_BYTES, peak

Read = Callable[..., Configuration]


def capacity(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """As much room as `count` bytes, beside a process of no size."""
    monkeypatch.setattr(memory, "_HOST_SHARE", 1.0)
    monkeypatch.setattr(memory, "resident", lambda: 0)
    monkeypatch.setattr(memory, "host_memory", lambda: count)


def test_the_plan_has_the_settings_and_the_longest_prompt_of_the_data(configuration: Read) -> None:
    settings = configuration("--model.micro_batch_tokens", "77")
    plan = plan_of(settings)
    assert plan is not None
    assert (plan.micro_batch_tokens, plan.prompts, plan.prompt_tokens, plan.rows) == (77, 4, 8, 256)
    settings.problems = settings.data.load(settings.tokenizer)  # type: ignore[arg-type]
    plan = plan_of(settings)
    assert plan is not None
    assert plan.prompt_tokens == 4


def test_what_does_not_fit_is_a_problem_and_its_options_make_it_fit(
    configuration: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--data.sampling.max_new_tokens", "200"]
    (total,) = [finding for finding in examine(configuration(*options)) if "at the peak" in finding.text]
    assert total.level is Level.OK
    capacity(monkeypatch, 2_500_000)
    (total,) = [finding for finding in examine(configuration(*options)) if "at the peak" in finding.text]
    assert total.level is Level.PROBLEM
    assert total.remedy.startswith("it fits with --model.gradient_checkpointing=true")
    remedy = total.remedy.removeprefix("it fits with ").split()
    (total,) = [finding for finding in examine(configuration(*options, *remedy)) if "at the peak" in finding.text]
    assert total.level is Level.OK
    capacity(monkeypatch, 1000)
    (total,) = [finding for finding in examine(configuration(*options)) if "at the peak" in finding.text]
    assert total.remedy.startswith("no setting of these makes it fit")


def test_on_a_gpu_the_expert_is_offloaded_where_other_settings_are_not_enough(
    configuration: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ever less memory, in steps of a hundredth of what the models take."""
    options = ["--trainer.accelerator", "gpu", "--data.sampling.max_new_tokens", "200"]
    settings = configuration(*options)
    plan, estimate = plan_of(settings), estimate_of(settings)
    assert plan is not None
    assert estimate is not None
    monkeypatch.setattr(memory, "_GPU_SHARE", 1.0)
    most, seen = peak(estimate.parts(plan)), dict[str, int]()
    for capacity in range(most - 1, CUDA_BYTES, -(most - CUDA_BYTES) // 100):
        changed = fitting(estimate, plan, capacity)
        if peak(estimate.parts(changed)) <= capacity:
            seen.setdefault(changed.expert_placement, capacity)
    assert list(seen) == ["replicated", "offloaded"]
    for placement, capacity in seen.items():
        monkeypatch.setattr(memory, "gpu_memory", lambda capacity=capacity: capacity)
        (total,) = [finding for finding in examine(settings) if "at the peak" in finding.text]
        remedy = total.remedy.removeprefix("it fits with ").split()
        assert ("--model.expert_placement=offloaded" in remedy) == (placement == "offloaded")
        (total,) = [finding for finding in examine(configuration(*options, *remedy)) if "at the peak" in finding.text]
        assert total.level is Level.OK, remedy


def test_caches_whose_places_are_not_given_take_what_is_left(
    configuration: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a given number of places does not fit, fewer rows are decoded at a time and nothing is to be changed."""
    options = ["--data.sampling.max_new_tokens", "200", "--model.gradient_checkpointing", "true"]
    given = ["--data.sampler", "mentor_pl.decoding.coin.Coin", "--data.sampler.cache_tokens", str(2**18)]
    plenty = [finding.text for finding in examine(configuration(*options))]
    capacity(monkeypatch, 2_500_000)
    less = [finding.text for finding in examine(configuration(*options))]
    (total,) = [finding for finding in examine(configuration(*options, *given)) if "at the peak" in finding.text]
    assert total.level is Level.PROBLEM
    assert "cache_tokens" in total.remedy
    rows = [
        next(int(text.split(" decoded at a time")[0].split()[-1]) for text in found if "decoded" in text)
        for found in (plenty, less)
    ]
    assert rows[1] < rows[0]


def test_without_a_gpu_to_compare_with_the_parts_are_told_all_the_same(configuration: Read) -> None:
    settings = configuration("--trainer.accelerator", "gpu")
    settings.cuda = True  # also where the tests run beside one
    found = examine(settings)
    assert any(finding.text.startswith("CUDA's context") for finding in found)
    assert any("loading takes" in finding.text for finding in found)


def test_a_method_that_learns_from_traces_is_estimated_where_there_are_no_problems_to_read(configuration: Read) -> None:
    settings = configuration("--model.algorithm", "mentor_pl.algorithms.sft.SFT")
    assert settings.problems is None
    assert any("1 rollouts a problem" in finding.text for finding in examine(settings))


def test_graders_are_found_within_others_with_the_limits_they_were_given() -> None:
    reward = PaperReward(MathReward(workers=3, memory_mb=512))
    assert list(graders(reward)) == [("MathReward", 3, 512 * 2**20)]
    assert list(graders(MazeReward())) == []


def test_the_memory_of_adapters_is_told_by_how_many_are_trained(configuration: Read) -> None:
    pytest.importorskip("peft", reason="peft is not installed: pip install mentor-pl[lora]")
    plain, adapted = (examine(configuration(*more))[0].text for more in ((), ("--model.adapter.rank", "2")))
    assert "trained" not in plain
    assert ", of which 2,048 are trained, " in adapted


def test_optimizer_states_that_are_offloaded_are_told_of_the_hosts_memory(
    configuration: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "gpu_memory", lambda: 2**40)
    for host, level in ((2**40, Level.OK), (1, Level.WARNING)):
        settings = configuration("--trainer.accelerator", "gpu", "--model.optimizer_placement", "offloaded")
        monkeypatch.setattr(memory, "host_memory", lambda host=host: host)
        found = [finding for finding in examine(settings) if "the offloaded optimizer states take" in finding.text]
        assert [finding.level for finding in found] == [level]
