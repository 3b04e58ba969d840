"""What was found of replaced tokens later, in a real browser: scores at the token and over the run, forks, commands.

Steps are 5 and 10. Of step 5 the token `U`, which replaced `D`, was scored twice and forked once.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("selenium", reason="no selenium here: pip install -e .[dev]")

from recorded_runs import IDS, row, table

from mentor_pl.records.absorbed import Replaced, scored_rows, write_absorbed
from mentor_pl.records.forks import Fork, append_fork
from mentor_pl.records.page.build import write_page
from mentor_pl.records.writing import write_step

HOSTILE = "</script><script>document.title = 'run'</script>\u202e"
MIXED = row(
    ["try", "U", "<eos>"], origin="mixture", number=1, coins=[0.5] * 3, gate_weights=[0.0, 1.0, 0.0],
    guided=[False, True, False], replaced=[False, True, False], drafts=[IDS["try"], IDS["D"], IDS["<eos>"]],
)  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    run = tmp_path_factory.mktemp("later") / "a run"
    other = MIXED | {"step": 10, "group": 1, "problem": 8}
    write_step(run, 5, table([row(["try", "yes", "<eos>"]), MIXED]))
    write_step(run, 10, table([row(["a"], step=10), other, other | {"number": 2}]))
    one = Replaced(5, 0, 0, 1, 7, 1, IDS["U"], IDS["D"], "U", "D", (), 1.0, -2.0, -0.5)
    two = Replaced(10, 0, 1, 2, 8, 1, IDS["U"], IDS["D"], HOSTILE, HOSTILE, (), 1.0, -1.0, -1.5)
    gone = Replaced(15, 0, 0, 1, 7, 1, IDS["U"], IDS["D"], "U", "D", (), 1.0, -2.0, -3.0)
    rows = [([one], [-1.5], [-0.75], 5), ([one, two, gone], [-0.25, -3.0, -2.5], [-4.0, -1.5, -3.0], 10)]
    import pyarrow as pa

    write_absorbed(run, pa.concat_tables([scored_rows(*some) for some in rows]))
    fork = Fork(
        5, 1, 0, 0, 1, 7, 1, MIXED["weights"], IDS["D"], IDS["U"], HOSTILE, "U", "checkpoint step=2.ckpt", 2, 16, 0,
        4, 0.1, 0.49, 12, 0.51, 0.9, 0.5, 0.15, 0.71,
    )  # fmt: skip
    worse = {"token": 1, "number": 2, "step": 10, "difference": 0.25}
    append_fork(run, replace(fork, **worse)), append_fork(run, fork)
    write_page([run], run.parent / "page.html", (), 1000, 10**7)
    return run.parent / "page.html"


@pytest.fixture
def opened(page, file):
    """The page at the replaced token; behind the test nothing may have left it, nor run, nor been complained of."""
    found = page(file, "#0/5/1/1")
    yield found
    assert (found.requests(), found.complaints()) == ([], [])
    assert found.run("return document.title").startswith("step ")


def test_a_tokens_facts_have_its_scores_then_and_since(opened) -> None:
    assert opened.text("#facts .verdict") == "Taken over: the expert's token is now likelier than the draft."
    rows = opened.texts("#facts .scores tr")
    assert rows == ["after stepexpert'sdraft", "when replaced−2.000−0.500", "5−1.500−0.750", "10−0.250−4.000"]
    lines = [line.get_attribute("points") for line in opened.all("#facts .curve polyline")]
    # from step 4 to 10 and from −4 to −0.25, which are the picture's corners
    assert lines == ["4.0,40.5 39.3,30.7 216.0,6.0", "4.0,10.9 39.3,15.9 216.0,80.0"]
    opened.keys("]")
    opened.wait("return location.hash.startsWith('#0/10/')")
    opened.click('#list [data-row="2"]'), opened.keys("n")
    assert opened.text("#facts .verdict").startswith("Not taken over: the draft is likelier")
    assert "; dropped: it is less likely than when" in opened.text("#facts .verdict")
    opened.click('#list [data-row="1"]'), opened.keys("n")
    assert opened.all("#facts .later") == []  # of a token that nobody scored or forked


def test_a_tokens_facts_have_its_forks_with_their_intervals_and_the_command(opened) -> None:
    facts = opened.texts("#facts .fork .number")
    assert facts == ["4 of 16: 0.25 [0.10, 0.49]", "12 of 16: 0.75 [0.51, 0.90]", "difference +0.50 [+0.15, +0.71]"]
    assert "weights of checkpoint step=2.ckpt, 2 steps before" in opened.text("#facts .fork")
    assert opened.style("#facts .fork .fell .name", "textDecorationLine") == "line-through"
    places = "return Array.from(document.querySelectorAll('.interval'), e => e.style.getPropertyValue('--low'))"
    assert opened.run(places) == ["0.1", "0.51"]
    command = opened.text("#facts .command")
    assert command.startswith("mentor fork '/")  # its folder has a space
    assert command.endswith("/a run' --step 5 --rollout 1 --token 1")
    opened.keys("\ue012")  # to a token that was not replaced
    assert opened.all("#facts .command, #facts .later") == []


def test_the_command_names_the_rollout_of_the_record_where_the_page_has_not_all(page, file) -> None:
    write_page([file.parent / "a run"], file.parent / "some.html", (10,), 2, 10**7)  # of three the second group's
    some = page(file.parent / "some.html", "#0/10/0/1")
    assert some.text("#facts .command").endswith(" --step 10 --rollout 1 --token 1")


def test_over_the_run_what_was_taken_over_and_dropped_stands_against_age(opened) -> None:
    opened.keys("vvv")
    assert opened.run("return document.querySelector('#views [aria-pressed=true]').dataset.value") == "later"
    told = opened.text("#view .verdict")
    assert "Of 3 replaced tokens scored after step 10, 66.7 % are taken over" in told
    assert "(when it replaced it: 66.7 %). 66.7 % are dropped" in told
    opened.click("#view summary")
    rows = opened.texts("#view .scores tr")
    assert rows[1:] == [
        "-41100.0 %100.0 %100.0 %−0.500.00", "120.0 %50.0 %50.0 %−0.75−0.13", "61100.0 %0.0 %0.0 %+1.75−3.50",
    ]  # fmt: skip
    assert opened.texts("#view .curve b") == ["share, by age", "change of log π, by age"]
    assert opened.texts("#view .curve:first-child .keys > *") == [
        "taken over 1.00", "dropped 0.00", "likelier when replaced 0.00",
    ]  # fmt: skip
    assert not opened.one("#slider").is_displayed()


def test_tokens_of_the_overview_are_opened_where_their_step_is_in_the_page(opened) -> None:
    opened.click("#views [data-value=later]")
    most, *least = opened.all("#view [aria-label=absorbed] .lead")
    assert [button.is_enabled() for button in (most, *least)] == [True, True, False]
    assert least[0].text.endswith("step 10: −1.00 → −3.00, age 1")
    least[0].click()
    opened.wait("return location.hash === '#0/10/2/1'")
    assert opened.run("return document.activeElement.dataset.i") == "1"
    opened.click("#views [data-value=later]")
    fork, other = opened.all("#view [aria-label=forks] .lead")  # the greatest worth first
    assert "step 10: +0.25" in other.text
    assert fork.text.endswith("step 5: +0.50 [+0.15, +0.71] of 16")
    fork.click()
    opened.wait("return location.hash === '#0/5/1/1'")


def test_a_run_of_which_nothing_was_found_later_has_no_such_view(page, recorded_step, tmp_path) -> None:
    write_page([recorded_step([MIXED])], tmp_path / "page.html", (), 1000, 10**7)
    plain = page(tmp_path / "page.html")
    assert plain.all("#views [data-value=later]") == []
    plain.keys("n")
    assert (plain.texts("#facts .later"), len(plain.all("#facts .command"))) == ([], 1)


def test_a_token_is_opened_in_the_rollout_of_its_own_process(page, tmp_path) -> None:
    """Each process counts its groups from 0."""
    run = tmp_path / "two processes"
    write_step(run, 5, table([MIXED, MIXED | {"rank": 1, "problem": 8}]))
    one = Replaced(5, 1, 0, 1, 8, 1, IDS["U"], IDS["D"], "U", "D", (), 1.0, -2.0, -0.5)
    write_absorbed(run, scored_rows([one], [-1.5], [-0.75], 5))
    write_page([run], tmp_path / "page.html", (), 1000, 10**7)
    found = page(tmp_path / "page.html", "#0/5/0/1")
    found.click("#views [data-value=later]")
    found.click("#view [aria-label=absorbed] .lead")
    found.wait("return location.hash === '#0/5/1/1'")
