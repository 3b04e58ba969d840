"""Training where some responses have no grade: they end the run, count as zero, or teach nothing at all."""

import pytest
import torch
from collecting import EIGHT, THREE, GivenRounds, Learner, ScriptedSampler, WordReward, gather, row
from two_processes import output_of

from callbacks import EntropyLogging
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.rewards.base import Grade, Grading, Reward
from mentor_pl.runtime.errors import UsageError


class Flaky(Reward):
    """A third per `the`, up to 1; what `fail` gives in place of every grade that falls on a short hash of the text."""

    range = (0.0, 1.0)

    def __init__(self, fail, which=lambda prompt, text: len(text) % 3 == 0):
        self.fail, self.which = fail, which

    def grade(self, prompt, response):
        if self.which(prompt, response.text):
            return self.fail()
        return Grade(min(1.0, response.text.split().count("the") / 3), {"outcome": 1.0})


def refused():
    raise ConnectionError("refused")


def standing_in(total):
    return lambda: Grade(total, {"outcome": 0.0}, "late")


@pytest.fixture
def trained(run):
    """(reward, options of the data module) -> the weights after two steps, and the run."""

    def fit(reward, algorithm=None, trainer_options=None, callbacks=(), **options):
        job = run(
            steps=2,
            algorithm=algorithm or GRPO(8),
            data_options={"reward": reward, **options},
            callbacks=callbacks,
            trainer_options=trainer_options,
        )
        return job.fit(), job

    return fit


def test_an_error_of_the_reward_ends_the_run_in_one_line_by_default(trained):
    for options in ({}, {"on_failure": "error"}):
        with pytest.raises(
            UsageError, match=r"^reward Flaky could not grade problem \d+: ConnectionError: refused; mend"
        ):
            trained(Flaky(refused), **options)


def test_zero_is_the_lowest_total_and_training_goes_on_as_if_it_had_been_given(trained, equal_weights):
    weights, job = trained(Flaky(refused), on_failure="zero")
    given, other = trained(Flaky(lambda: Grade(0.0, {"outcome": 0.0})))
    assert equal_weights(weights, given)
    assert job.trainer.callback_metrics["reward/not_graded"] > 0
    assert other.trainer.callback_metrics["reward/not_graded"] == 0


@pytest.mark.parametrize("algorithm", [GRPO(8), Mentor(4, 4)])
def test_a_masked_response_teaches_nothing_whatever_stands_in_for_its_grade(trained, equal_weights, algorithm):
    masked, job = trained(Flaky(refused), algorithm, on_failure="mask")
    assert job.trainer.callback_metrics["reward/not_graded"] > 0
    for other in (lambda: None, standing_in(0.0), standing_in(1.0)):
        assert equal_weights(masked, trained(Flaky(other), algorithm, on_failure="mask")[0])
    assert not equal_weights(masked, trained(Flaky(standing_in(0.0)), algorithm)[0])
    assert all(value.isfinite().all() for value in masked.values())


def test_a_step_without_any_grade_has_zero_gradients_and_ends(trained):
    everything = Flaky(lambda: None, which=lambda prompt, text: True)
    weights, job = trained(everything, Mentor(4, 4), callbacks=[EntropyLogging()])
    assert all(value.isfinite().all() for value in weights.values())
    assert job.trainer.callback_metrics["reward/not_graded"] == 4 * 8
    assert job.trainer.callback_metrics["train/loss"] == 0
    assert job.trainer.callback_metrics["train/grad_norm"] == 0


def test_masked_rows_leave_the_training_mask_and_are_told_as_none(models):
    """Rows of 1 to 4 tokens; those of two words are not graded, and the method hears so."""

    class Some(WordReward):
        def grade(self, prompt, response):
            return None if len(response.text.split()) == 2 else super().grade(prompt, response)

    algorithm = GivenRounds([row(EIGHT, 0), row(EIGHT, 1), row(THREE, 0), row(THREE, 1)])
    rollouts = gather(Learner(models, algorithm=algorithm), ScriptedSampler([[1, 2, 3, 4]]), reward=Some())
    assert rollouts.graded.tolist() == [True, False, True, True]
    assert rollouts.mask.sum(1).tolist() == [1, 2, 3, 4]
    assert rollouts.train_mask.sum(1).tolist() == [1, 0, 3, 4]
    assert rollouts.reward_parts["words"].tolist() == [1, 0, 3, 4]
    assert rollouts.without_verdict == 1
    assert algorithm.graded[0].rewards.isnan().tolist() == [False, True, False, False]


def test_a_methods_own_training_mask_cannot_bring_them_back(models):
    class All(GivenRounds):
        def train_mask(self, rollouts):
            return torch.ones_like(rollouts.mask)

    class Never(WordReward):
        def grade(self, prompt, response):
            raise OSError("down")

    options = {"reward": Never(), "grading": Grading(on_failure="mask")}
    rollouts = gather(Learner(models, algorithm=All([row(EIGHT, 0)])), ScriptedSampler([[2]]), **options)
    assert not rollouts.train_mask.any()


def test_ranks_have_the_parts_of_every_ranks_reward_in_one_order(models, monkeypatch):
    """As if another rank's rewards had named other parts: what is summed over ranks must be the same on all."""
    monkeypatch.setattr("mentor_pl.training.assemble.all_objects", lambda names: [["late", "words"], names])
    rollouts = gather(Learner(models), ScriptedSampler([[1] * 4, [1] * 2]))
    assert list(rollouts.reward_parts) == ["late", "words"]
    assert rollouts.reward_parts["late"].tolist() == [0] * 6


RANKS = '''
"""Two ranks; every problem of the second one is graded by nobody, and its parts have names of their own."""
import os

import lightning.pytorch as L
import torch

from callbacks import EntropyLogging
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.collectives import rank
from mentor_pl.runtime.parallel import FSDP2Strategy
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.module import MentorModule


class Half(Reward):
    range = (0.0, 1.0)

    def grade(self, prompt, response):
        total = min(1.0, response.text.split().count("the") / 3)
        return Grade(total, {"timeout": 1.0}) if rank() == 0 else Grade(0.0, {"down": 1.0}, "down")


policy, expert, problems = __import__("sys").argv[1:4]
L.seed_everything(7, verbose=False)
module = MentorModule(policy, expert, Mentor(4, 4), optimizer=lambda params: torch.optim.AdamW(params, lr=1e-2))
data = RolloutDataModule(
    problems, steps=2, prompts_per_step=4, sampling=SamplingParams(max_new_tokens=8), reward=Half(), on_failure="mask",
    system_prompt=None, max_prompt_tokens=8, seed=3,
)
trainer = L.Trainer(
    accelerator="cpu", devices=2, strategy=FSDP2Strategy(timeout_minutes=2), max_epochs=1, logger=False,
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False, callbacks=[EntropyLogging()],
)
trainer.fit(module, data)
counts = [trainer.callback_metrics[f"reward/{name}"].item() for name in ("not_graded", "timeouts")]
os.write(1, f"counts {counts}\\n".encode())  # in one piece: the ranks share what they write to
'''


def test_a_rank_of_which_nothing_is_graded_keeps_no_other_waiting(
    tmp_path, llama_folder, llama_expert_folder, word_problems
):
    printed = output_of(tmp_path, RANKS, llama_folder, llama_expert_folder, word_problems)
    assert printed.count("counts [16.0, 16.0]") == 2, printed
