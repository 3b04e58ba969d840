"""A prompt is read once while a slot holds it, by the policy and by an expert that is asked."""

import pytest
import torch

from mentor_pl.algorithms.parts.gates import ConstantGate
from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.engine.lookahead import FixedK
from mentor_pl.decoding.naive import Naive
from mentor_pl.decoding.params import SamplingParams

LOOSE = 13.0  # γ_p under which a third of the tokens is guided and a fifth replaced
SAMPLING = SamplingParams(max_new_tokens=16)
END = 7  # of the scripted models
A, B, C = [1, 2, 0], [2, 1], [3]  # 2, 1 and 0 tokens before the last one


@pytest.mark.parametrize(
    ("prompts", "rows", "read"),
    [
        ([A] * 4, 9, 2),  # once for all of them
        ([A] * 4, 1, 2),  # it lies there still
        ([A] * 3 + [B] * 3 + [C], 9, 3),
        ([A] * 3 + [B] * 3 + [C], 1, 3),
        ([A, B, A, B], 9, 3),
        ([A, B, A, B], 1, 6),  # one slot: each pushes the other out
        ([A, B, A, B], 2, 3),  # each finds the slot where its prompt lies
        ([A, B, B, A], 2, 3),
        ([C] * 5, 2, 0),  # nothing comes before the last token
        ([[0], [1], [2], [3]], 2, 0),
        ([[1, 0], [2, 0], [3, 0], [1, 1]], 4, 4),  # all different
        ([[1, 0], [1, 1]], 2, 2),  # the last token alone differs
    ],
)
@pytest.mark.parametrize("gate", [None, ConstantGate(0.5)], ids=["on-policy", "mixed"])
def test_a_prompt_is_read_once_while_a_slot_holds_it(prompts, rows, read, gate, counting, keys, sample):
    # every response is one token long, so all slots are refilled at once
    models, n = counting([4]), len(prompts)
    samples = sample(Coin(rows=rows), models, prompts, keys(n), SamplingParams(max_new_tokens=1), gate)
    assert samples.stats.prefill_tokens == read * (1 if gate is None else 2)
    assert samples.ids.tolist() == [[prompt[-1] + 1] for prompt in prompts]


def test_a_prompt_is_copied_from_a_row_that_is_still_being_decoded(pair, prompts, keys, sample, with_stops):
    prompt, other = prompts[0], prompts[2]
    # the second row ends at once; its slot goes to a rollout whose prompt lies in the first one's
    asked, limits, key = [prompt, other, prompt], [9, 1, 9], keys(3)
    endless = with_stops(pair, [-1])
    samples = sample(Coin(rows=2), endless, asked, key, SAMPLING, limits=limits)
    assert samples.stats.prefill_tokens == len(prompt) + len(other) - 2
    alone = sample(Coin(), endless, asked[2:], key[2:], SAMPLING, limits=limits[2:])
    assert torch.equal(samples.ids[2], alone.ids[0])


def test_an_expert_that_is_never_asked_reads_no_prompt(counting, keys, sample):
    models = counting([4])
    models.expert.forward = None
    unguided = Coin(FixedK(3), rows=2), models, [A, A, B], keys(3), SamplingParams(max_new_tokens=4), ConstantGate(0.0)
    assert sample(*unguided).stats.prefill_tokens == 2 + 1


def test_an_expert_reads_the_prompts_of_the_rows_it_is_asked_about_and_of_those_that_follow(
    scripted, keys, sample, uncertain
):
    # a prompt of two tokens is answered END; one of three 2 or 3, which is guided, and then END
    models = scripted([0, END, (2, 3), END], [0, END, (2, 3), END])
    prompts = [[5, 0], [6, 5, 0], [5, 0]]
    samples = sample(Coin(FixedK(2), rows=1), models, prompts, keys(3), SAMPLING, uncertain)
    assert samples.guided.any(1).tolist() == [False, True, False]
    assert samples.stats.prefill_tokens == 1 + 2 * 2 + 2 * 1


def test_an_expert_that_is_first_asked_after_rows_have_been_refilled_changes_no_rollout(
    pair, prompts, keys, gate_of, sample, equal_samples
):
    options = pair, prompts, keys(len(prompts)), SAMPLING, gate_of(4 * LOOSE)
    early, after_all = sample(Naive(), *options), sample(Coin(FixedK(16), rows=3), *options)
    equal_samples(early, after_all)
    assert early.replaced.any()
