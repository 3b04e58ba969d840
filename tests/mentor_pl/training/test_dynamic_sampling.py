"""Groups without signal give their place to others: by hand, on ranks of different needs, over a resume."""

import pytest
import torch
from collecting import Learner, ScriptedSampler, WordReward, gather
from runs import Batches
from two_processes import output_of

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.losses.reference_kl import ReferenceKL
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.dynamic_sampling import DynamicSampling
from mentor_pl.types import Origin, Prompt

LOUD, SILENT = (1,), (2,)


def loud(index):
    return Prompt(index, "loud", "", LOUD)


def silent(index):
    return Prompt(index, "silent", "", SILENT)


class ByPrompt(ScriptedSampler):
    """Two rows of a loud prompt are 1 and 3 tokens long, those of a silent one 2 each; a token is a tenth of reward."""

    def __call__(self, models, prompts, *arguments, **options):
        self.lengths.append([2 if tuple(p) == SILENT else 1 + 2 * (i % 2) for i, p in enumerate(prompts)])
        return super().__call__(models, prompts, *arguments, **options)


class Left:
    """Problems that are left; notes how many were asked for."""

    def __init__(self, *prompts):
        self.prompts, self.asked = list(prompts), []

    def __call__(self, count):
        self.asked.append(count)
        drawn, self.prompts = self.prompts[:count], self.prompts[count:]
        return drawn


@pytest.fixture
def drawn(models):
    """(step's problems, problems left, max_draws) -> rollouts, and the sampler."""

    def build(prompts, left, max_draws=3, algorithm=None, **options):
        learner, sampler = Learner(models, algorithm=algorithm or GRPO(2), **options), ByPrompt([], (1.0,) * 9)
        sample = lambda some: gather(learner, sampler, prompts=some, reward=WordReward())  # noqa: E731
        return DynamicSampling(max_draws)(sample, prompts, left, learner.algorithm), sampler

    return build


def test_groups_without_signal_are_dropped_and_their_places_filled(drawn):
    left = Left(silent(10), loud(11), loud(12), loud(13))
    rollouts, sampler = drawn([loud(0), silent(1), silent(2)], left)
    assert left.asked == [2, 1, 0]
    assert rollouts.problems.tolist() == [0, 0, 11, 11, 12, 12]
    assert rollouts.group.tolist() == [0, 0, 1, 1, 2, 2]
    assert rollouts.response_lengths.tolist() == [1, 3, 1, 3, 1, 3]
    assert rollouts.texts == ("t1", "t1 t1 t1", "t2", "t2 t2 t2", "t3", "t3 t3 t3")
    assert torch.equal(rollouts.train_mask, rollouts.mask)
    assert rollouts.counts == {"groups_dropped": 3, "groups_drawn": 3, "groups_without_signal": 0}
    assert len(sampler.calls) == 3


def test_at_the_limit_empty_places_keep_groups_without_signal(drawn):
    rollouts, _ = drawn([loud(0), silent(1), silent(2)], Left(silent(10), loud(11), loud(12)), max_draws=1)
    assert rollouts.problems.tolist() == [0, 0, 1, 1, 11, 11]
    assert rollouts.counts == {"groups_dropped": 2, "groups_drawn": 2, "groups_without_signal": 1}


def test_where_problems_run_out_the_batch_is_as_large_as_ever(drawn):
    rollouts, _ = drawn([silent(1), silent(2)], Left(loud(10)))
    assert rollouts.problems.tolist() == [1, 1, 10, 10]


def test_a_step_in_which_all_have_signal_draws_nothing(drawn):
    rollouts, sampler = drawn([loud(0), loud(1)], Left(loud(10)))
    assert len(sampler.calls) == 1
    assert rollouts.counts == {"groups_dropped": 0, "groups_drawn": 0, "groups_without_signal": 0}


def test_what_was_dropped_has_been_paid_for(drawn):
    rollouts, _ = drawn([loud(0), silent(1)], Left(silent(10), loud(11)))
    assert rollouts.decoding["tokens"] == (4 + 4) + 4 + 4
    assert rollouts.seconds["sampling/drafting"] == 3 * 0.25


def test_signal_is_looked_for_among_the_tokens_that_are_trained_on(drawn):
    class Untrained(GRPO):
        def train_mask(self, rollouts):
            return rollouts.mask & (rollouts.problems != 0)[:, None]

    rollouts, _ = drawn([loud(0), loud(1)], Left(loud(10)), algorithm=Untrained(2))
    assert rollouts.problems.tolist() == [1, 1, 10, 10]


def test_a_rank_that_needs_none_takes_part_without_rows(drawn, monkeypatch):
    """As if another rank drew anew once, in one round."""
    draws, rounds = iter([1, 0]), iter([0, 0, 1, 0])
    monkeypatch.setattr("mentor_pl.training.dynamic_sampling.all_max", lambda value: value + next(draws))
    monkeypatch.setattr("mentor_pl.training.collect.all_max", lambda value: value + next(rounds))
    rollouts, sampler = drawn([loud(0), loud(1)], Left())
    assert list(rounds) == []
    assert len(sampler.calls) == 1
    assert rollouts.problems.tolist() == [0, 0, 1, 1]


def test_a_method_of_several_rounds_goes_through_all_of_them_anew(run):
    batches = Batches()
    options = {"data_options": {"dynamic_sampling": DynamicSampling(2)}}
    job = run(steps=2, algorithm=Mentor(2, 2), callbacks=[batches], **options)
    job.fit()
    drawn = [batch.counts["groups_drawn"] for batch in batches.rollouts]
    assert max(drawn) > 0
    for batch in batches.rollouts:
        assert batch.group.unique().tolist() == [0, 1, 2, 3]
        assert len(set(batch.problems.tolist())) == 4
        assert (batch.origin == Origin.MIXTURE).sum() == 4 * 2
    logged = job.trainer.callback_metrics
    assert logged["data/groups_drawn"] == drawn[-1]
    assert job.module.ledger.counts["sampled_tokens"] > job.module.ledger.counts["trained_tokens"]


def test_four_steps_are_two_and_two_bit_for_bit(run, equal_weights, tmp_path):
    options = {"algorithm": Mentor(2, 2), "data_options": {"dynamic_sampling": DynamicSampling(2)}}
    whole = run(steps=4, **options)
    weights = whole.fit()
    first = run(steps=2, **options)
    first.fit()
    first.trainer.save_checkpoint(tmp_path / "two.ckpt")
    options["algorithm"] = Mentor(2, 2)
    second = run(steps=4, **options)
    assert equal_weights(weights, second.fit(ckpt_path=str(tmp_path / "two.ckpt")))
    assert second.module.ledger.counts == whole.module.ledger.counts
    plain = run(steps=4, algorithm=Mentor(2, 2))
    assert not equal_weights(weights, plain.fit())


def test_a_method_whose_terms_learn_without_an_advantage_is_refused(run):
    options = {"module_options": {"terms": [ReferenceKL(0.1)]}, "data_options": {"dynamic_sampling": DynamicSampling()}}
    with pytest.raises(UsageError, match=r"the term reference_kl of GRPO learns from every token: set it to null"):
        run(algorithm=GRPO(4), **options).fit()


def test_no_draw_at_all_is_refused():
    with pytest.raises(UsageError, match="max_draws is 0"):
        DynamicSampling(0)


RANKS = '''
"""Two ranks; the second one's own problems are all without signal, so it alone draws anew."""
import os

import lightning.pytorch as L
import torch

from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.collectives import rank
from mentor_pl.runtime.parallel import FSDP2Strategy
from mentor_pl.training.data import RolloutDataModule
from mentor_pl.training.dynamic_sampling import DynamicSampling
from mentor_pl.training.module import MentorModule


class Half(Reward):
    range = (0.0, 1.0)
    seen = ()

    def grade(self, prompt, response):
        own = len(self.seen) < 2 or prompt.index in self.seen
        self.seen = {*self.seen, prompt.index} if own else self.seen
        return Grade(0.0) if rank() and own else Grade(len(response.text) % 7 / 7)


policy, expert, problems = __import__("sys").argv[1:4]
L.seed_everything(7, verbose=False)
module = MentorModule(policy, expert, Mentor(4, 4), optimizer=lambda params: torch.optim.AdamW(params, lr=1e-2))
data = RolloutDataModule(
    problems, steps=1, prompts_per_step=4, sampling=SamplingParams(max_new_tokens=8), reward=Half(),
    system_prompt=None, max_prompt_tokens=8, seed=3, dynamic_sampling=DynamicSampling(2),
)
trainer = L.Trainer(
    accelerator="cpu", devices=2, strategy=FSDP2Strategy(timeout_minutes=2), max_epochs=1, logger=False,
    enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
)
trainer.fit(module, data)
counts = [trainer.callback_metrics[f"data/groups_{name}"].item() for name in ("dropped", "drawn", "without_signal")]
os.write(1, f"counts {counts}\\n".encode())  # in one piece: the ranks share what they write to
'''


def test_ranks_that_need_different_numbers_keep_no_other_waiting(
    tmp_path, llama_folder, llama_expert_folder, word_problems
):
    printed = output_of(tmp_path, RANKS, llama_folder, llama_expert_folder, word_problems)
    assert printed.count("counts [2.0, 2.0, 0.0]") == 2, printed
