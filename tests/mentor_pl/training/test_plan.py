"""How many rows an algorithm asks for, and the micro-batch that needs the most memory."""

from mentor_pl.algorithms.base import Algorithm, policy_rows
from mentor_pl.algorithms.bread import BREAD
from mentor_pl.algorithms.grpo import GRPO
from mentor_pl.algorithms.hpt import HPT
from mentor_pl.algorithms.luffy import Luffy
from mentor_pl.algorithms.mentor import Mentor
from mentor_pl.algorithms.questa import HEADING, QuestA
from mentor_pl.algorithms.sft import SFT
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.training.plan import ROUNDS, Plan, rounds_of


def plan(**changes):
    settings = {"ranks": 1, "sharded": False, "half": False, "cuda": False, "gradient_checkpointing": False}
    settings |= {"micro_batch_tokens": 100, "mini_batches": 2, "prompts": 4, "prompt_tokens": 5, "rows": 8}
    return Plan(**settings | {"cache_tokens": 1000, "sampling": SamplingParams(max_new_tokens=20)} | changes)


def test_rows_are_counted_by_asking_the_algorithm():
    assert rounds_of(Mentor(on_policy=3, mixed=2), 9, 1.0) == [(3, 0, 3, 0), (0, 2, 2, 0)]
    assert rounds_of(Mentor(on_policy=3, mixed=2), 9, 0.0) == [(5, 0, 5, 0)]
    assert rounds_of(GRPO(group_size=6), 9, 1.0) == [(6, 0, 6, 0)]


def test_rows_that_are_given_are_trained_on_and_not_sampled_and_probes_the_other_way_round():
    assert rounds_of(SFT(), 9, 1.0) == [(0, 0, 1, 0)]
    assert rounds_of(Luffy(group_size=4), 9, 1.0) == [(3, 0, 4, 0)]
    probes = [(2, 0, 0, 0)] * 2  # of 2 and of 1 of 4 pieces
    assert rounds_of(BREAD(group_size=3, pieces=4, tries=2), 9, 1.0) == [(3, 0, 3, 0), *probes, (3, 0, 3, 0)]


def test_a_method_that_helps_where_the_policy_fails_is_seen_to_help():
    assert rounds_of(HPT(group_size=3), 9, 1.0) == [(3, 0, 3, 0), (0, 0, 1, 0)]
    assert rounds_of(Mentor(on_policy=3, mixed=2, only_failed=True), 9, 1.0)[1] == (0, 2, 2, 0)


def test_a_hint_lengthens_the_context():
    assert rounds_of(QuestA(group_size=3, share=0.5), 40, 1.0)[-1] == (3, 0, 3, len(HEADING) + 20)


def test_an_algorithm_that_draws_without_end_is_asked_for_a_few_rounds():
    class Endless(Mentor):
        def rounds(self, step):
            while True:
                yield policy_rows(step.draw(1), 2)

    assert issubclass(Endless, Algorithm)
    assert rounds_of(Endless(), 9, 1.0) == [(2, 0, 2, 0)] * ROUNDS


def test_a_micro_batch_is_filled_to_its_budget_and_no_further_than_the_mini_batch():
    # a prompt of 5 once, and responses of 20: 5 + 4 · 20 = 85; a fifth is too many
    prompts, responses, group = plan().micro_batch(8)
    assert (prompts, responses, group) == ((5,) * 4, (20,) * 4, (0,) * 4)
    # 2 of 4 prompts a mini-batch, 3 rollouts each: 2 · 5 + 6 · 20 = 130
    assert len(plan(micro_batch_tokens=10_000).micro_batch(3)[0]) == 6
    assert plan(micro_batch_tokens=1).micro_batch(3)[1] == (20,)


def test_parameters_are_gathered_in_bfloat16_only_where_they_are_sharded():
    kinds = [str(plan(sharded=s, half=h).forward_dtype) for s in (False, True) for h in (False, True)]
    assert kinds == ["torch.float32", "torch.float32", "torch.float32", "torch.bfloat16"]
    assert (plan(ranks=4).shards, plan(ranks=4, sharded=True).shards) == (1, 4)
