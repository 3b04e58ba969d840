"""A step's rollouts: what γ_p is read from, who takes part, and what the draws depend on."""

import math
from dataclasses import replace

import pytest
import torch
from collecting import EIGHT, PROMPTS, THREE, GivenRounds, Learner, ScriptedSampler, gather, guided_by, row

from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.parts.gates import EntropyGate
from mentor_pl.decoding.naive import Naive
from mentor_pl.types import Origin


def test_gamma_is_the_quantile_of_this_steps_on_policy_response_tokens_alone(models):
    class Rising(ScriptedSampler):
        def __call__(self, *arguments, **options):
            samples = super().__call__(*arguments, **options)
            if len(self.calls) == 1:
                # rows of 1, 2, 2, 1 tokens: entropies 1 · 2 3 · 4 5 · 6, and 77 on the padding
                samples.entropies[:] = torch.tensor([[1.0, 77.0], [2.0, 3.0], [4.0, 5.0], [6.0, 77.0]])
            return samples

    learner, sampler = Learner(models), Rising([[1, 2, 2, 1], [1, 1]])
    rollouts = gather(learner, sampler)
    assert rollouts.gamma == learner.algorithm.gate.gamma == 3.5  # the median of 1 … 6; mixed rows have 100
    assert [call[2] for call in sampler.calls] == [None, learner.algorithm.blend]
    assert sampler.calls[1][5] == 3.5  # known before a mixed token is sampled


def test_a_gate_that_lags_gives_the_gamma_of_the_step_before(models):
    learner = Learner(models, algorithm=Mentor(2, 1, gate=EntropyGate(p=0.5, source="previous")))
    gammas = []
    for entropy in (1.0, 2.0, 4.0):
        sampler = ScriptedSampler([[1] * 6], entropies=(entropy,))
        gammas.append(gather(learner, sampler).gamma)
        assert sampler.mixed == [[False] * 4 + [True] * 2]  # both kinds in one call
    assert gammas == [999.0, 1.0, 2.0]


def test_alpha_zero_draws_no_mixed_rollouts_and_their_share_goes_to_the_policy(models):
    learner, sampler = Learner(models, alpha=0.0), ScriptedSampler([[1] * 6])
    rollouts = gather(learner, sampler)
    assert (rollouts.group.tolist(), len(sampler.calls)) == ([0, 0, 0, 1, 1, 1], 1)
    assert not rollouts.origin.any()
    assert rollouts.gamma == math.inf


def test_the_policy_samples_in_eval_mode_without_gradients_and_returns_to_training(models):
    models.policy.train()
    sampler = ScriptedSampler([[1] * 4, [1] * 2])
    gather(Learner(models), sampler)
    assert [call[3:5] for call in sampler.calls] == [(False, False)] * 2
    assert models.policy.training
    with pytest.raises(IndexError):  # a sampler that fails leaves the policy in training mode too
        gather(Learner(models), ScriptedSampler([[1] * 4]))
    assert models.policy.training


def tensors(rollouts):
    return {name: value for name, value in vars(rollouts).items() if isinstance(value, torch.Tensor)}


def same(one, other):
    for name, value in tensors(one).items():
        assert torch.equal(value, tensors(other)[name]), name


def test_a_group_without_mixed_rollouts_is_the_refilled_group_bit_for_bit(models):
    plain = gather(Learner(models, algorithm=GRPO(3)), Naive())
    refilled = gather(Learner(models, alpha=0.0), Naive())
    same(plain, refilled)


def test_on_policy_rows_are_the_same_whatever_the_expert_does(models):
    guided = gather(Learner(models, algorithm=Mentor(2, 2, gate=EntropyGate(p=0.5))), Naive())
    unguided = gather(Learner(models, algorithm=guided_by(0.0, 2, 2)), Naive())
    alone = gather(Learner(models, algorithm=GRPO(4)), Naive())
    assert guided.replaced.any()
    same(unguided, gather(Learner(models, algorithm=guided_by(0.0, 2, 2)), Naive(rows=1)))
    assert torch.equal(unguided.response_ids, alone.response_ids)
    for i in torch.nonzero(guided.origin == Origin.POLICY).flatten().tolist():
        length = int(alone.response_lengths[i])
        assert guided.response_ids[i, :length].tolist() == alone.response_ids[i, :length].tolist()


def test_a_prompts_rollouts_do_not_depend_on_the_prompts_beside_it(models):
    together = gather(Learner(models, algorithm=guided_by(0.5)), Naive())
    alone = gather(Learner(models, algorithm=guided_by(0.5)), Naive(), prompts=PROMPTS[1:])
    width = alone.response_ids.shape[1]
    assert torch.equal(together.response_ids[3:, :width], alone.response_ids)
    assert torch.equal(together.response_lengths[3:], alone.response_lengths)


def test_steps_and_seeds_draw_anew(models):
    draws = [
        gather(Learner(models, algorithm=GRPO(16)), Naive(), seed=seed, step=step).response_ids[:, 0].tolist()
        for seed, step in ((5, 2), (5, 3), (6, 2), (5, 2))
    ]
    assert draws[0] == draws[3]
    assert draws[0] != draws[1]
    assert draws[0] != draws[2]


def test_a_rank_that_is_done_takes_part_until_all_are(models, monkeypatch):
    """As if another rank had one round more; what that rank's rollouts are, it alone knows."""
    counts = []

    def all_max(value):
        counts.append(int(value))
        return value if len(counts) != 2 else value + 1

    monkeypatch.setattr("mentor_pl.training.collect.all_max", all_max)
    sampler = ScriptedSampler([[1, 2]])
    rollouts = gather(Learner(models, algorithm=GivenRounds([row(EIGHT, 0), row(THREE, 0)])), sampler)
    assert counts == [1, 0, 0]
    assert len(rollouts) == 2
    assert len(sampler.calls) == 1


def test_a_round_without_rows_is_no_end(models):
    """Such as a round of probes where no problem has a trace: it may be empty on all ranks."""
    algorithm = GivenRounds([], [row(EIGHT, 0)], [], [row(EIGHT, 1)])
    rollouts = gather(Learner(models, algorithm=algorithm), ScriptedSampler([[1], [2]]))
    assert rollouts.response_lengths.tolist() == [1, 2]
    assert [len(told.rows) for told in algorithm.graded] == [0, 1, 0, 1]


def test_a_method_is_told_the_text_of_tokens_and_the_room_beside_the_longest_response(models):
    class Asking(GRPO):
        def rounds(self, step):
            self.told = step.text((1, 2, 5)), step.max_context
            return super().rounds(step)

    algorithm = Asking(2)
    small = replace(models, vocabulary=replace(models.vocabulary, window=10))
    gather(Learner(small, algorithm=algorithm), Naive())
    assert algorithm.told == ("t1 t2", 6)  # 5 is the stop token; responses have 4 tokens at most


def test_what_a_method_waits_for_between_rounds_ends_all_ranks_or_none(models, monkeypatch):
    """A grader may fail on one rank alone, and so may drawing problems: everything runs within `together`."""
    inside = []

    def together(work, device="cpu"):
        inside.append(True)
        try:
            return work()
        finally:
            inside.pop()

    class Waiting(GRPO):
        def rounds(self, step):
            self.places = [bool(inside)]
            graded = yield [row(EIGHT, 0)]
            self.places.append(bool(inside) and len(graded.rewards))
            yield [row(EIGHT, 1)]
            self.places.append(bool(inside))

    monkeypatch.setattr("mentor_pl.training.collect.together", together)
    algorithm = Waiting()
    gather(Learner(models, algorithm=algorithm), ScriptedSampler([[1], [1]]))
    assert algorithm.places == [True, 1, True]


@pytest.mark.parametrize("masked", [False, True])
def test_a_truncated_rollout_is_not_trained_on_where_asked_and_stays_in_its_groups_statistics(models, masked):
    """Rows of 1 to 4 tokens; the one of two is cut off."""

    class CutOff(ScriptedSampler):
        def __call__(self, *arguments, **options):
            samples = super().__call__(*arguments, **options)
            return replace(samples, truncated=samples.lengths == 2)

    algorithm = GivenRounds([row(EIGHT, 0), row(EIGHT, 1), row(THREE, 0), row(THREE, 1)])
    rollouts = gather(Learner(models, algorithm=algorithm, mask_truncated=masked), CutOff([[1, 2, 3, 4]]))
    assert rollouts.train_mask.sum(1).tolist() == [1, 0 if masked else 2, 3, 4]
    first, second = algorithm.advantages(rollouts)[:2].tolist()
    assert first == -second != 0
