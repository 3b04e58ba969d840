"""Bars, `--check` and `--json` of the benchmarks."""

import argparse
import json
import math

import pytest
from report import Figure, add_report_options, check, filled, finish, machine


@pytest.mark.parametrize(
    ("value", "bar", "sense", "passed"),
    [
        (2.0, 2.0, "at least", True),
        (1.99, 2.0, "at least", False),
        (0.25, 0.25, "at most", True),
        (0.26, 0.25, "at most", False),
        (None, 2.0, "at least", False),
        (None, 0.25, "at most", False),
        (math.nan, 2.0, "at least", False),
        (math.nan, 0.25, "at most", False),
        (0.0, None, "at least", None),
        (None, None, "at least", None),
    ],
)
def test_a_figure_passes_at_its_bar_or_on_the_good_side_of_it(value, bar, sense, passed):
    assert Figure("x", value, bar=bar, sense=sense).passed is passed


def test_check_names_each_figure_below_its_bar_and_no_other(capsys):
    figures = [
        Figure("speed", 1.5, bar=2.0),
        Figure("memory", 0.1, bar=0.25, sense="at most"),
        Figure("delay", 12.0, "ms", bar=10.0, sense="at most"),
        Figure("rate", 3.0, "samples/s"),
        Figure("gain", None, bar=2.0),
    ]
    assert check(figures) == 1
    assert capsys.readouterr().out.splitlines() == [
        "below its bar: speed is 1.5, must be at least 2",
        "below its bar: delay is 12 ms, must be at most 10 ms",
        "below its bar: gain is not measured, must be at least 2",
    ]


def test_check_passes_where_every_bar_is_reached(capsys):
    assert check([Figure("speed", 2.5, bar=2.0), Figure("rate", 0.0)]) == 0
    assert capsys.readouterr().out == ""


def report(arguments, figures):
    parser = argparse.ArgumentParser()
    add_report_options(parser)
    return finish("A run", figures, {"cores": 2}, parser.parse_args(arguments), ["a note"])


def test_only_check_turns_a_missed_bar_into_an_exit_status(capsys):
    missed = [Figure("speed", 1.5, bar=2.0)]
    assert report([], missed) == 0
    assert report(["--check"], missed) == 1
    assert report(["--check"], [Figure("speed", 2.0, bar=2.0)]) == 0


def test_the_table_shows_figures_bars_notes_and_machine(capsys):
    report([], [Figure("speed", 1.5, bar=2.0), Figure("rate", 1234.5, "tokens/s", detail="3 rounds")])
    shown = " ".join(capsys.readouterr().out.split())
    for part in ("A run", "speed 1.5 at least 2 BELOW", "rate 1,234 tokens/s 3 rounds", "a note", "cores 2"):
        assert part in shown


def test_json_holds_every_figure_and_what_it_holds_for(tmp_path):
    path = tmp_path / "figures.json"
    report(
        ["--json", str(path)], [Figure("memory", 0.3, "", 0.25, "at most", "of 10"), Figure("rate", None, "samples/s")]
    )
    assert json.loads(path.read_text()) == {
        "title": "A run",
        "settings": {"cores": 2},
        "notes": ["a note"],
        "figures": [
            {
                "name": "memory",
                "value": 0.3,
                "unit": "",
                "bar": 0.25,
                "sense": "at most",
                "detail": "of 10",
                "passed": False,
            },
            {
                "name": "rate",
                "value": None,
                "unit": "samples/s",
                "bar": None,
                "sense": "at least",
                "detail": "",
                "passed": None,
            },
        ],
    }


def test_the_machine_is_described_in_what_json_can_hold():
    settings = machine()
    assert json.loads(json.dumps(settings)) == settings
    assert settings["processor"]
    assert settings["cores"] >= 1


def test_a_page_keeps_its_words_and_gets_its_tables_anew():
    page = "words\n<!-- one -->\nold\n<!-- end -->\nmore\n<!-- two -->\n<!-- end -->\n"
    once = filled(page, {"one": "| 1 |\n", "two": "\\1 kept\n"})
    assert once == "words\n<!-- one -->\n| 1 |\n<!-- end -->\nmore\n<!-- two -->\n\\1 kept\n<!-- end -->\n"
    assert filled(once, {"one": "| 1 |\n"}) == once
    with pytest.raises(ValueError, match="0 places for three"):
        filled(page, {"three": ""})
