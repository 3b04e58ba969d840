"""Another attention function is put in for a while, does no less than the model's own, and attends in every layer."""

from types import SimpleNamespace

import pytest
import torch

from mentor_pl.models.attention import attending_by, check_attended, check_plain, spans
from mentor_pl.runtime.errors import UsageError


def model(attention="sdpa", layers=2):
    return SimpleNamespace(config=SimpleNamespace(_attn_implementation=attention, num_hidden_layers=layers))


def test_each_model_has_its_own_attention_back_afterwards_even_after_an_error():
    policy, expert, table = model("sdpa"), model("eager"), object()  # a lookup table has no configuration
    with pytest.raises(KeyError), attending_by("ours", policy, expert, table):
        assert (policy.config._attn_implementation, expert.config._attn_implementation) == ("ours", "ours")
        raise KeyError
    assert (policy.config._attn_implementation, expert.config._attn_implementation) == ("sdpa", "eager")


def test_one_inside_another_gives_way_to_it():
    policy = model("sdpa")
    with attending_by("outer", policy):
        with attending_by("inner", policy):
            assert policy.config._attn_implementation == "inner"
        assert policy.config._attn_implementation == "outer"


class Layer:
    pass


@pytest.mark.parametrize(
    ("given", "options"), [(None, {}), (object(), {"softcap": 30.0}), (object(), {"s_aux": torch.zeros(1)})]
)
def test_capped_scores_sinks_and_hidden_arguments_are_refused_by_the_layers_name(given, options):
    with pytest.raises(UsageError, match=r"^Layer caps its attention scores, .* which the engine does not reproduce: "):
        check_plain(Layer(), given, options, "the engine")


def test_a_scaled_softmax_in_a_window_is_plain():
    check_plain(Layer(), object(), {"scaling": 0.5, "sliding_window": 4, "softcap": None, "s_aux": None}, "the engine")


def test_every_layer_must_have_attended():
    check_attended(model(layers=2), 2)
    check_attended(object(), 0)  # what has no layers has none to miss
    for layers in (0, 1, 3):
        with pytest.raises(UsageError, match=f"SimpleNamespace: {layers} of 2 layers attend by way of"):
            check_attended(model(layers=2), layers)


@pytest.mark.parametrize(
    ("starts", "counts", "places"),
    [([0, 5, 2], [2, 1, 3], [0, 1, 5, 2, 3, 4]), ([7, 3], [0, 2], [3, 4]), ([4], [0], []), ([], [], [])],
)
def test_spans_lie_one_behind_the_other(starts, counts, places):
    assert spans(torch.tensor(starts, dtype=torch.int64), torch.tensor(counts, dtype=torch.int64)).tolist() == places
