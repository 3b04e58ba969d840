"""avg@k and pass@k: by the formula, and against every subset there is. Words, and sums over processes."""

import math
from itertools import combinations

import pytest
import torch
from two_processes import output_of

from mentor_pl.evaluation.metrics import REASONING_WORDS, AvgAtK, PassAtK, WordOccurrence
from mentor_pl.runtime.errors import UsageError


def value(metric, *updates):
    for correct in updates:
        metric.update(torch.tensor(correct, dtype=torch.bool))
    return metric.compute().item()


def row(n, right):
    return [i < right for i in range(n)]


def test_avg_is_the_share_of_right_responses_averaged_over_problems():
    assert value(AvgAtK(), [row(4, 1), row(4, 2)]) == pytest.approx((0.25 + 0.5) / 2)


@pytest.mark.parametrize(
    ("n", "right", "k", "expected"),
    [
        (4, 1, 2, 0.5),  # 1 − C(3,2)/C(4,2) = 1 − 3/6
        (4, 2, 2, 5 / 6),  # 1 − C(2,2)/C(4,2)
        (5, 2, 3, 0.9),  # 1 − C(3,3)/C(5,3) = 1 − 1/10
        (4, 3, 2, 1.0),  # fewer than k wrong ones
        (4, 0, 2, 0.0),
        (8, 3, 1, 0.375),  # pass@1 is avg
        (8, 1, 8, 1.0),
    ],
)
def test_pass_at_k_by_hand(n, right, k, expected):
    assert value(PassAtK(k), [row(n, right)]) == pytest.approx(expected)


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_pass_at_k_is_the_share_of_all_subsets_that_hold_a_right_one(n):
    for right in range(n + 1):
        for k in range(1, n + 1):
            subsets = list(combinations(row(n, right), k))
            share = sum(any(subset) for subset in subsets) / len(subsets)
            assert value(PassAtK(k), [row(n, right)]) == pytest.approx(share)


def test_the_order_of_samples_does_not_matter():
    assert value(PassAtK(2), [[False, True, False, True]]) == value(PassAtK(2), [[True, True, False, False]])


def test_updates_weigh_problems_and_not_calls():
    # three problems: 1, 0, 0; a mean of the calls' means would be ½
    assert value(AvgAtK(), [row(2, 2)], [row(2, 0), row(2, 0)]) == pytest.approx(1 / 3)
    assert value(PassAtK(1), [row(2, 2)], [row(2, 0), row(2, 0)]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("build", [AvgAtK, lambda: PassAtK(2)])
def test_shards_merged_equal_the_whole(build):
    data = torch.rand(7, 4, generator=torch.Generator().manual_seed(0)) < 0.4
    whole, one, other = build(), build(), build()
    whole.update(data)
    one.update(data[:2])
    other.update(data[2:])
    one.merge_state(other)
    assert one.compute() == whole.compute()


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
def test_reset_forgets_and_nothing_is_no_number():
    metric = AvgAtK()
    value(metric, [row(2, 1)])
    metric.reset()
    assert math.isnan(metric.compute())


def test_fewer_samples_than_k_is_a_usage_error():
    with pytest.raises(UsageError, match="pass@4 needs at least 4 samples per problem, but there are 3"):
        PassAtK(4).update(torch.ones(1, 3, dtype=torch.bool))


def test_k_below_one_is_a_usage_error():
    with pytest.raises(UsageError, match="k is 0"):
        PassAtK(0)


def shares(words, *updates):
    metric = WordOccurrence(words)
    for texts in updates:
        metric.update(texts)
    return dict(zip(metric.words, metric.compute().view(-1).tolist(), strict=True))


def test_a_word_counts_once_per_response_in_whole_and_in_any_case():
    texts = ["Wait, wait. Then", "thence", "But then?", "butter"]
    assert shares(["wait", "then", "but"], texts) == {"wait": 0.25, "then": 0.5, "but": 0.25}


def test_words_weigh_responses_and_not_calls():
    assert shares(["a"], ["a"], ["b", "c", "d"]) == {"a": 0.25}


def test_a_word_may_hold_signs_and_stand_at_either_end():
    assert shares(["x+y", "so far"], ["x+y", "So far so good", "2x+y"]) == pytest.approx(
        {"x+y": 1 / 3, "so far": 1 / 3}
    )


def test_the_reasoning_words_are_the_papers():
    listed = "however consider then given since therefore find similarly but wait okay alternatively check verify"
    assert WordOccurrence().words == REASONING_WORDS == tuple(listed.split())


@pytest.mark.parametrize("words", [["a", "A"], [""], ["a", " "]])
def test_a_word_given_twice_or_empty_is_a_usage_error(words):
    with pytest.raises(UsageError, match="give each once"):
        WordOccurrence(words)


TWO = """
import torch
import torch.distributed as dist
from mentor_pl.evaluation.metrics import AvgAtK, PassAtK, WordOccurrence

dist.init_process_group("gloo")
right = [[[True, True]], [[False, False], [True, False]]][dist.get_rank()]  # one problem here, two there
texts = [["wait", "so"], ["but wait"]][dist.get_rank()]
average, passed, words = AvgAtK(), PassAtK(2), WordOccurrence(["wait", "but"])
average.update(torch.tensor(right))
passed.update(torch.tensor(right))
words.update(texts)
print([round(x, 4) for x in (average.compute().item(), passed.compute().item(), *words.compute().tolist())])
dist.destroy_process_group()
"""


def test_two_processes_sum_over_problems_of_both(tmp_path):
    """avg: (1 + 0 + ½)/3; pass@2: (1 + 0 + 1)/3; 2 of 3 responses wait, 1 of 3 has a but."""
    assert output_of(tmp_path, TWO).split("\n") == ["[0.5, 0.6667, 0.6667, 0.3333]"] * 2 + [""]
