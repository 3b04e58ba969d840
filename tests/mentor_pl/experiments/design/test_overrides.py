import json

import pytest

from mentor_pl.experiments.design.overrides import configuration, words
from mentor_pl.runtime.errors import UsageError

CALLBACKS = [
    {"class_path": "callbacks.AlphaDecay"},
    {
        "class_path": "callbacks.BenchmarkValidation",
        "init_args": {
            "every_n_steps": 20,
            "benchmarks": [{"name": "maze", "limit": 9}, {"class_path": "some.Large", "init_args": {"name": "large"}}],
        },
    },
]
BASE = {"trainer": {"callbacks": CALLBACKS, "devices": 1}, "model": {"policy": "p"}}
MEASURED = "trainer.callbacks.BenchmarkValidation"


def changed(overrides, *configs):
    """The callbacks that the words give."""
    (word,) = words(configs or [BASE], overrides)
    key, _, value = word.partition("=")
    assert key == "--trainer.callbacks"
    return json.loads(value)


def test_a_setting_outside_of_lists_is_a_word_as_it_is():
    given = {"model.alpha": 0.5, "model.name": "a b", "model.list": [1, {"a": None}], "trainer.devices": 2}
    assert words([BASE], given) == [
        *("--model.alpha=0.5", "--model.name=a b", '--model.list=[1, {"a": null}]', "--trainer.devices=2"),
    ]


def test_a_callback_of_the_configurations_is_changed_and_the_others_stay_as_they_are():
    decay, measured = changed({f"{MEASURED}.every_n_steps": 5, "trainer.callbacks.AlphaDecay.schedule": "linear"})
    assert decay == {"class_path": "callbacks.AlphaDecay", "init_args": {"schedule": "linear"}}
    assert measured["init_args"] == CALLBACKS[1]["init_args"] | {"every_n_steps": 5}
    assert CALLBACKS[0] == {"class_path": "callbacks.AlphaDecay"}  # the configuration is as it was


def test_items_are_reached_by_name_by_class_or_all():
    def limits(key):
        maze, large = changed({f"{MEASURED}.benchmarks.{key}.limit": 4})[1]["init_args"]["benchmarks"]
        return maze["limit"], large["init_args"].get("limit")

    assert limits("maze") == (4, None)
    assert limits("large") == limits("Large") == (9, 4)
    assert limits("*") == (4, 4)


def test_a_key_may_name_the_arguments_of_a_class_or_pass_over_them():
    assert changed({f"{MEASURED}.init_args.every_n_steps": 5}) == changed({f"{MEASURED}.every_n_steps": 5})


def test_the_last_of_the_configurations_counts_and_an_appended_callback_too():
    later = {"trainer": {"callbacks": [{"class_path": "callbacks.BenchmarkValidation"}]}}
    more = {"trainer": {"callbacks+": [{"class_path": "my.Own", "init_args": {"a": 1}}]}}
    assert [one["class_path"] for one in changed({f"{MEASURED}.words": []}, BASE, later, more)] == [
        *("callbacks.BenchmarkValidation", "my.Own"),
    ]
    own = changed({"trainer.callbacks.Own.a": 2}, BASE, more)[2]
    assert own["init_args"] == {"a": 2}


def test_a_list_that_an_override_gives_is_changed_by_later_ones():
    given = {"trainer.callbacks": [{"class_path": "callbacks.BenchmarkValidation"}], f"{MEASURED}.words": ["try"]}
    assert changed(given) == [{"class_path": "callbacks.BenchmarkValidation", "init_args": {"words": ["try"]}}]


def test_a_configuration_has_what_the_words_set():
    more = {"trainer": {"callbacks+": {"class_path": "my.Own"}}}
    merged = configuration([BASE, more], {"trainer.devices": 2, "trainer.callbacks.Own.a": 2, "data.steps": 3})
    assert (merged["trainer"]["devices"], merged["data"], merged["model"]) == (2, {"steps": 3}, {"policy": "p"})
    assert merged["trainer"]["callbacks"][2] == {"class_path": "my.Own", "init_args": {"a": 2}}
    assert BASE["trainer"]["devices"] == 1


def test_a_list_within_a_class_is_given_whole_under_its_own_key():
    terms = [{"class_path": "a.Policy"}, {"class_path": "a.KL", "init_args": {"weight": 1}}]
    base = {"model": {"algorithm": {"class_path": "a.B", "init_args": {"terms": terms}}}}
    (word,) = words([base], {"model.algorithm.terms.KL.weight": 2})
    assert word == "--model.algorithm.terms=" + json.dumps(
        [terms[0], {"class_path": "a.KL", "init_args": {"weight": 2}}]
    )


@pytest.mark.parametrize(
    ("key", "configs", "there"),
    [
        (
            "trainer.callbacks.BenchmarkValidatoin.words",
            [BASE],
            "trainer.callbacks has AlphaDecay, BenchmarkValidation",
        ),
        (f"{MEASURED}.benchmarks.math.limit", [BASE], f"{MEASURED}.benchmarks has maze, large"),
        (f"{MEASURED}.words", [{}], "trainer.callbacks has no item"),
        (f"{MEASURED}.words", [{"trainer": {"callbacks": None}}], "trainer.callbacks has no item"),
        (MEASURED, [BASE], "trainer.callbacks has AlphaDecay, BenchmarkValidation"),
    ],
)
def test_what_is_not_in_the_list_is_refused_in_one_line_with_what_is(key, configs, there):
    with pytest.raises(UsageError) as caught:
        words(configs, {key: 1})
    assert str(caught.value) == f"{key} goes into a list, but {there}: name one, and a setting of it"
