"""Which trace is taken: the shortest, the likeliest, any, or by a mix of these; nothing where there is none."""

import math
from collections import Counter
from functools import partial
from types import SimpleNamespace

import pytest
import torch

from mentor_pl.algorithms.base import Step
from mentor_pl.algorithms.parts.traces import Likeliest, Mix, Random, Shortest
from mentor_pl.runtime.errors import UsageError
from mentor_pl.training.scoring import given_likelihoods
from mentor_pl.types import Prompt, Row

LONG, SHORT, THIRD = (5, 6, 7, 9), (8, 9), (6, 6, 9)


def prompt(index, *traces):
    return Prompt(index, "p", "a", (1, 2), traces=traces)


SOME = [prompt(0, LONG, SHORT, THIRD), prompt(1), prompt(2, THIRD)]


def test_the_shortest_and_of_equals_the_first():
    assert Shortest().select(Step(SOME), SOME) == [SHORT, None, THIRD]
    tied = [prompt(3, LONG, THIRD, (7, 7, 9))]
    assert Shortest().select(Step(tied), tied) == [THIRD]


def test_any_trace_is_taken_equally_often_and_depends_on_seed_step_and_problem_alone():
    many = [prompt(index, LONG, SHORT, THIRD) for index in range(3000)]
    taken = Random().select(Step(many, number=4, seed=1), many)
    counts = Counter(taken)
    assert all(900 < counts[trace] < 1100 for trace in (LONG, SHORT, THIRD))  # 1000 ± 26 each
    assert Random().select(Step(many[:5], number=4, seed=1), many[4:1:-1]) == taken[4:1:-1]
    assert Random().select(Step(many, number=5, seed=1), many[:100]) != taken[:100]
    assert Random().select(Step(many, number=4, seed=2), many[:100]) != taken[:100]
    assert Random().select(Step(SOME), SOME)[1:] == [None, THIRD]


def test_the_likeliest_has_the_greatest_mean_and_all_are_read_in_one_call():
    asked = []

    def likelihoods(rows):
        asked.append([(row.prompt.index, row.context, row.given, row.complete) for row in rows])
        return torch.tensor([-3.0, -2.0, -1.0, -7.0])

    assert Likeliest().select(Step(SOME, likelihoods=likelihoods), SOME) == [THIRD, None, THIRD]
    context = (1, 2)
    assert asked == [
        [(0, context, LONG, True), (0, context, SHORT, True), (0, context, THIRD, True), (2, context, THIRD, True)]
    ]


class Known(torch.nn.Module):
    """Whatever comes before, id 0 has probability ½ and ids 1, 2 have ¼, at temperature 1."""

    def token_logprobs(self, prompts, prompt_lengths, responses, lengths, *, vocab_size, temperature):
        values = (torch.tensor([0.5, 0.25, 0.25]).log() / temperature).log_softmax(0)[responses]
        return values * (torch.arange(responses.shape[1]) < lengths[:, None]), values


def test_likelihoods_are_means_over_the_tokens_and_not_sums():
    policy = Known()
    models = SimpleNamespace(policy=policy, device=torch.device("cpu"), vocabulary=SimpleNamespace(size=3))
    prompts = [Prompt(0, "p", "a", (1,), traces=((1,), (0, 0, 0))), Prompt(1, "q", "a", (1,))]
    step = Step(prompts, likelihoods=partial(given_likelihoods, models, 100, 1.0))
    assert Likeliest().select(step, prompts) == [(0, 0, 0), None]  # ½ on average, though ⅛ in all
    assert Likeliest().select(step, prompts[1:]) == [None]


def test_likelihoods_are_those_at_the_samplings_temperature():
    models = SimpleNamespace(policy=Known(), device=torch.device("cpu"), vocabulary=SimpleNamespace(size=3))
    row = Row(Prompt(0, "p", "a", (1,)), (1,), 0, given=(0, 1))
    # at temperature ½ squares count: 4/6 and 1/6
    values = given_likelihoods(models, 100, 0.5, [row])
    assert values.tolist() == pytest.approx([(math.log(4 / 6) + math.log(1 / 6)) / 2])


def test_a_mix_takes_each_selection_by_its_weight_whatever_the_problems_beside_it():
    many = [prompt(index, LONG, SHORT) for index in range(4000)]

    class Longest(Shortest):
        def select(self, step, prompts):
            return [max(one.traces, key=len) for one in prompts]

    mix = Mix([Shortest(), Longest()], [3.0, 1.0])
    taken = mix.select(Step(many), many)
    assert 2900 < Counter(taken)[SHORT] < 3100  # 3000 ± 27
    assert mix.select(Step(many), many[9:3:-1]) == taken[9:3:-1]
    assert Mix([Shortest()]).select(Step(SOME), SOME) == [SHORT, None, THIRD]


def test_which_selection_is_taken_tells_nothing_of_the_draw_within_it():
    many = [prompt(index, LONG, SHORT) for index in range(2000)]
    random = Random().select(Step(many), many)
    mixed = Mix([Random(), Shortest()]).select(Step(many), many)
    # SHORT by chance and by the mix's other half: 3/4 of the problems, where dependent draws would give 1/2 or all
    assert 1400 < Counter(mixed)[SHORT] < 1600
    assert 900 < Counter(random)[SHORT] < 1100


@pytest.mark.parametrize(
    ("selections", "weights", "message"),
    [
        ([], None, "a mix of 0 trace selections has 0 weights"),
        ([Shortest()], [1.0, 2.0], "a mix of 1 trace selections has 2 weights"),
        ([Shortest(), Random()], [1.0, 0.0], r"weight of a mix of trace selections is 0\.0"),
    ],
)
def test_a_mix_without_selections_or_with_wrong_weights_is_a_usage_error(selections, weights, message):
    with pytest.raises(UsageError, match=message):
        Mix(selections, weights)
