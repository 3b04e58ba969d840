import pytest
import torch

from mentor_pl.decoding.coin import Coin
from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark
from mentor_pl.experiments.tokens.continuations import Place, alternatives, rows_of, successes
from mentor_pl.experiments.tokens.responses import labelled
from mentor_pl.experiments.tokens.scores import loaded
from mentor_pl.rewards.base import Grade, Reward
from mentor_pl.runtime.progress import silent
from mentor_pl.types import Prompt

MAZE = "blocked c00 c01 c02 goal c33 start c22"


@pytest.fixture(scope="module")
def models(small_testbed):
    with loaded(str(small_testbed / "policy"), None) as loaded_models:
        yield loaded_models


class Begins(Reward):
    """A response is right where it begins so."""

    range = (0.0, 1.0)

    def __init__(self, text):
        self.text, self.seen = text, []

    def grade(self, prompt, response):
        self.seen.append(response)
        right = float(response.text.startswith(self.text))
        return Grade(right, {"outcome": right})


def problems(most=12, **sampling):
    return Benchmark("maze", reward=Begins("<think> try U"), sampling=SamplingParams(max_new_tokens=most, **sampling))


def response(models, text):
    prompt = Prompt(4, MAZE, "", tuple(models.tokenizer(MAZE)["input_ids"]))
    return labelled(models, prompt, 0, models.tokenizer(text)["input_ids"], None, "")


def ids_of(models, *words):
    return tuple(models.tokenizer.convert_tokens_to_ids(word) for word in words)


def test_alternatives_are_the_likeliest_tokens_as_they_are_sampled(models):
    one, benchmark = response(models, "<think> try U c12"), problems(temperature=0.8)
    whole, before = torch.tensor([[*one.prompt.token_ids, *one.ids]]), len(one.prompt.token_ids)
    with torch.no_grad():
        logits = models.policy(input_ids=whole).logits[0, :, : models.vocabulary.size]
    expected = (logits[before + 1] / 0.8).softmax(-1).topk(3)
    places = [(0, 1), (0, 2), (1, 2)]
    forced, move, again = alternatives(models, benchmark, [one, one], places, top=3, floor=0.01)
    assert forced.ids == ids_of(models, "try")  # the only one that is above the floor
    assert move.ids == tuple(expected.indices.tolist())
    assert move.probabilities == pytest.approx(expected.values.tolist(), abs=1e-5)
    assert (again.response, again.ids) == (1, move.ids)


def test_tokens_that_are_never_sampled_are_no_alternatives(models):
    one = response(models, "<think> try U")
    (place,) = alternatives(models, problems(top_k=2), [one], [(0, 2)], top=4, floor=0)
    assert len(place.ids) == 2
    assert sum(place.probabilities) == pytest.approx(1)


def test_what_is_continued_keeps_the_tokens_before_and_ends_with_a_stop_token_or_at_the_limit(models):
    one = response(models, "<think> try U c12")
    ids = (*ids_of(models, "D"), models.vocabulary.stop_ids[0])
    place = Place(0, 2, ids, (0.6, 0.4))
    rows = rows_of(models, problems(), [one], place)
    assert [row.given for row in rows] == [(*one.ids[:2], token) for token in ids]
    assert [row.complete for row in rows] == [False, True]
    assert all(row.complete for row in rows_of(models, problems(most=3), [one], place))


def test_successes_are_counted_by_row_and_a_complete_one_is_graded_once_for_all(models):
    one, benchmark = response(models, "<think> try U c12"), problems(most=12)
    rows = [
        *rows_of(models, benchmark, [one], Place(0, 2, ids_of(models, "D", "U"), (0.5, 0.5))),
        *rows_of(models, benchmark, [one], Place(0, 3, (models.vocabulary.stop_ids[0],), (1.0,))),
    ]
    assert successes(models, benchmark, rows, 5, Coin(rows=4), 0, silent) == [0, 5, 5]
    assert len(benchmark.grader.seen) == 11
    assert all(len(seen.tokens) <= 12 for seen in benchmark.grader.seen)
    texts = [seen.text for seen in benchmark.grader.seen if seen.text.startswith("<think> try U")]
    assert len(set(texts)) > 2  # each has noise of its own


def test_the_count_depends_on_the_seed_alone(models):
    one, benchmark = response(models, "<think> try U c12"), problems(most=24)
    benchmark.grader.text = "<think> try U c12 U"
    rows = rows_of(models, benchmark, [one], Place(0, 2, ids_of(models, "U", "D"), (0.5, 0.5)))
    first, again = (successes(models, benchmark, rows, 16, Coin(rows=size), 3, silent) for size in (32, 5))
    assert first == again
    assert 0 < first[0] < 16
