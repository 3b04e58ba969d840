import math
import warnings
from types import SimpleNamespace

import pytest
import torch

from mentor_pl.decoding.engine import engine
from mentor_pl.decoding.engine.timings import ForwardTimings
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.problems.columns import Columns
from mentor_pl.problems.selection import Selection
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.types import Origin


def test_each_rank_gets_every_other_prompt_so_that_mini_batches_stay_whole(run):
    job = run(steps=1, trainer_options={})
    job.fit()
    whole = job.data.prompts_of_rank(2)

    class Rank:
        world_size = 2

        def __init__(self, rank):
            self.global_rank = rank

    shares = []
    for rank in (0, 1):
        job.data.trainer = Rank(rank)
        shares.append(job.data.prompts_of_rank(2))
    assert [p.index for p in shares[0]] == [p.index for p in whole[0::2]]
    assert [p.index for p in shares[1]] == [p.index for p in whole[1::2]]
    # first local mini-batches (one prompt each) together: the first global one (two prompts)
    assert {shares[0][0].index, shares[1][0].index} == {p.index for p in whole[:2]}


def test_gamma_is_the_quantile_of_this_steps_on_policy_entropies(run):
    seen = []
    job = run(steps=2)
    produce = job.data._produce
    job.data._produce = lambda step: seen.append(produce(step)) or seen[-1]
    job.fit()
    for rollouts in seen:
        mixed = rollouts.origin == Origin.MIXTURE
        entropies = rollouts.entropies[~mixed][rollouts.mask[~mixed]]
        assert rollouts.gamma == pytest.approx(float(torch.quantile(entropies, 0.95)), abs=1e-6)
        weights = (rollouts.entropies / rollouts.gamma).clamp(max=1)[mixed] * rollouts.mask[mixed]
        assert torch.allclose(rollouts.gate_weights[mixed], weights, atol=1e-6)
        assert not rollouts.guided[~mixed].any()
        assert not (rollouts.replaced & ~rollouts.guided).any()


class Generous(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt, response):
        return Grade(1.5)


class NotANumber(Generous):
    def grade(self, prompt, response):
        return Grade(math.nan)


class Flat(Generous):
    range = (1.0, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"prompts_per_step": 1},
            r"prompts_per_step is 1, but each of model.mini_batches = 2 updates needs",
        ),
        ({"prompts_per_step": 400}, r"40 usable problems, fewer than data.prompts_per_step = 400"),
        (
            {"sampling": SamplingParams(max_new_tokens=600)},
            r"max_prompt_tokens \+ max_new_tokens = 608, but the models",
        ),
        ({"max_prompt_tokens": 2}, r"all 40 prompts are longer than max_prompt_tokens = 2; the shortest has 4"),
        ({"train": "nowhere.jsonl"}, r"nowhere.jsonl: no such file"),
        ({"reward": Generous()}, r"reward Generous gave 1.5 to problem \d+, outside its declared range \(0.0, 1.0\)"),
        ({"reward": NotANumber()}, r"reward NotANumber gave nan"),
    ],
)
def test_data_that_cannot_work_is_refused_in_one_line(run, options, message):
    with pytest.raises(UsageError, match=message) as refused:
        run(data_options=options).fit()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "data.steps is 0"),
        ({"prompts_per_step": 0}, "data.prompts_per_step is 0"),
        ({"sampling": SamplingParams(temperature=0.0)}, "data.sampling.temperature is 0"),
        ({"reward": Flat()}, r"reward Flat declares the range \(1.0, 1.0\)"),
    ],
)
def test_settings_out_of_range_are_refused_at_once(options, message):
    with pytest.raises(UsageError, match=message):
        RolloutDataModule("problems.jsonl", **options)


def test_prompts_over_the_limit_are_left_out_and_counted(run, write_jsonl):
    rows = [{"problem": "we try", "answer": "the"}] * 8 + [{"problem": "we " * 30, "answer": "the"}] * 2
    job = run(steps=1, data_options={"train": str(write_jsonl(rows, "some.jsonl"))})
    job.fit()
    assert (len(job.data.problems.prompts), job.data.problems.too_long) == (8, 2)


def test_rows_columns_and_template_are_chosen_and_each_reason_is_one_line_of_the_log(run, write_jsonl, caplog):
    caplog.set_level("INFO")
    rows = [{"question": "we try", "final": {"answer": 7}, "level": i % 3, "trace": "the sum"} for i in range(12)]
    path = write_jsonl([*rows, "{", {**rows[0], "question": "we"}], "some.jsonl")
    columns = Columns(problem="question", answer="final.answer", demonstrations="trace")
    select = Selection(columns=columns, levels=[0, 1], on_bad_row="skip")
    job = run(
        steps=1, data_options={"train": str(path), "select": select, "template": "{problem} :", "min_prompt_tokens": 4}
    )
    job.fit()
    first = job.data.problems.prompts[0]
    assert (first.problem, first.answer, first.demonstrations) == ("we try", "7", ("the sum",))
    assert job.module.tokenizer.decode(first.token_ids) == "<s> we try :"
    assert [prompt.index for prompt in job.data.problems.prompts] == [0, 1, 3, 4, 6, 7, 9, 10]
    logged = [line for line in caplog.messages if line.startswith(str(path))]
    assert logged[0] == f"{path}: 4 of 14 problems left out, their level is not one of 0, 1"
    assert logged[1].startswith(f"{path}: 1 of 14 problems left out, they cannot be used; {path}:13: not JSON")
    assert logged[3].startswith(f"{path}: 7 of 14 problems repeat an earlier one and are kept")
    assert "1 of 14 problems left out, their prompts are below min_prompt_tokens = 4" in logged[2]
    assert len(logged) == 4


def test_fitting_leaves_the_filters_of_warnings_alone(run):
    with warnings.catch_warnings():
        before = [*warnings.filters]
        run(steps=1).fit()
        assert warnings.filters == before


def test_the_seed_is_seed_everythings_unless_given(monkeypatch):
    monkeypatch.setenv("PL_GLOBAL_SEED", "41")
    assert RolloutDataModule("problems.jsonl").seed == 41
    assert RolloutDataModule("problems.jsonl", seed=2).seed == 2


def test_further_problems_are_others_than_the_steps_own_each_once_and_dealt_to_ranks(run):
    job = run(steps=2)
    job.data.trainer = job.trainer
    job.trainer.strategy.connect(job.module)
    job.data.setup("fit")

    def drawn(step, rank=0, world=1, count=6):
        job.data.trainer = SimpleNamespace(global_rank=rank, world_size=world)
        return [prompt.index for prompt in job.data._further(step)(count)]

    own = set(job.data._places(0))
    assert len(set(drawn(0))) == 6
    assert not own & set(drawn(0, count=36))  # of 40 problems, 4 are the step's own
    assert drawn(0) == drawn(0) != drawn(1)
    assert [*drawn(0, 0, 2, 3), *drawn(0, 1, 2, 3)] == [*drawn(0)[::2], *drawn(0)[1::2]]
    with pytest.raises(UsageError, match=r"draws more problems than .* has left for a step"):
        drawn(0, count=37)


def test_a_checkpoint_holds_the_samplers_timings_of_every_rank_and_gives_each_its_own_back(run, monkeypatch):
    job = run(steps=1)
    job.data.sampler.timings = {4: ForwardTimings(1.0, 2.0, 3.0)}
    state = job.data.state_dict()
    timings = {4: {"policy_step": 1.0, "expert_call": 2.0, "expert_token": 3.0}}
    assert state == {"samplers": [{"timings": timings, "places": None}]}
    timings = {4: {"policy_step": 5.0, "expert_call": 6.0, "expert_token": 7.0}}
    state["samplers"].append({"timings": timings, "places": None})
    for rank, step in ((0, 1.0), (1, 5.0), (2, 5.0)):  # of more ranks than were saved, the last one's
        monkeypatch.setattr("mentor_pl.training.data.rank", lambda rank=rank: rank)
        job.data.load_state_dict(state)
        assert job.data.sampler.timings[4].policy_step == step


def test_a_resumed_run_does_not_measure_again(run, monkeypatch, tmp_path):
    """The timings are the checkpoint's, not those of a file on the machine."""
    measured = []
    timings = ForwardTimings(1.0, 9.0, 0.0)
    monkeypatch.setattr(engine, "remembered_timings", lambda *models: measured.append(models[2]) or timings)
    first = run(steps=1)
    first.fit()
    first.trainer.save_checkpoint(tmp_path / "one.ckpt")
    assert measured == [16]
    second = run(steps=2)
    second.fit(ckpt_path=str(tmp_path / "one.ckpt"))
    assert measured == [16]
    assert second.data.sampler.timings == {16: timings}
