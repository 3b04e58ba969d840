"""The page in small windows, and at other methods' steps, in a real browser."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("selenium", reason="no selenium here: pip install -e .[dev]")

from recorded_runs import IDS, Mazes, row, table
from selenium.webdriver.common.keys import Keys

from mentor_pl.records.page.build import write_page
from mentor_pl.records.writing import write_step

BLEND = row(
    ["try", "U", "<eos>"], origin="mixture", coins=[0.5, 0.25, 0.5], gate_weights=[1.0, 0.5, 1.0],
    guided=[False, True, False], replaced=[False, True, False], drafts=[IDS["try"], IDS["D"], IDS["<eos>"]],
)  # fmt: skip
GIVEN = row(["U", "<eos>"], origin="demonstration", number=2, given=[True] * 2)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of a run: a step of mazes, one of a blend, of a demonstration, without a number, and on-policy."""
    run = Mazes(steps=(5,), prompts=4, policy=2, mixture=2).write(tmp_path_factory.mktemp("other") / "run")
    write_step(run, 10, table([BLEND | {"step": 10}]))
    write_step(run, 15, table([row(["U"], step=15), GIVEN | {"step": 15}]))
    nan = {name: [math.nan, math.inf, -1.0] for name in ("entropies", "gate_weights", "logprobs", "advantages")}
    write_step(run, 20, table([BLEND | nan | {"step": 20, "gamma": math.nan}]))
    graded = [row(["U", "<eos>"], step=25, number=i, reward=one) for i, one in enumerate((0.25, None, 0.75))]
    write_step(run, 25, table(graded))
    (run / "metrics.csv").write_text("step,train/mixed/guided\n5,0.00512\n20,0.25\n")
    write_page([run], run.parent / "page.html", (), 1000, 10**7)
    return run.parent / "page.html"


@pytest.fixture
def small(page, file):
    """(width, height, scale) -> the page at the first mixed rollout in a window of that size."""
    opened = []

    def make(width, height, scale=1):
        found = page(file, "#0/5/2")
        opened.append(found)
        size = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": False}
        found.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        return found

    yield make
    for found in opened:
        found.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert found.complaints() == []


def box(page, css):
    return page.run("return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", css)


@pytest.mark.parametrize(("width", "height", "scale"), [(400, 800, 1), (700, 450, 2), (1400, 450, 1)])
def test_nothing_lies_over_another_nor_beside_the_window(small, width, height, scale) -> None:
    page = small(width, height, scale)
    for view in ("rollout", "kinds", "map"):
        page.click(f"#views [data-value={view}]")
        assert page.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth"), view
        if view == "kinds":
            left, right = (column.rect for column in page.all("#view .columns > section"))
            assert (left["x"] == right["x"]) is (width <= 700)  # below each other where there is no room beside
    assert box(page, "#list")["bottom"] <= box(page, "#side")["bottom"] + 1
    assert box(page, "#list")["height"] >= 100
    if width < 700:
        assert box(page, "#side")["bottom"] < box(page, "#main")["top"]
        assert box(page, "#list")["height"] <= 0.4 * height + 1  # a long list leaves room for what stands below it


def test_in_a_narrow_window_the_facts_of_a_token_stay_in_sight_and_not_over_it(small) -> None:
    page = small(700, 600)
    page.keys("n")
    token, facts = box(page, "#view .token[aria-selected=true]"), box(page, "#facts")
    assert 0 <= token["top"] < token["bottom"] <= facts["top"] + 1
    assert facts["bottom"] <= 601
    page.keys(Keys.ESCAPE)
    assert page.run("return getComputedStyle(document.querySelector('#facts')).position") == "static"


def test_the_rollout_that_is_open_is_in_sight_in_its_list(small) -> None:
    page = small(1400, 700)
    page.run("history.replaceState(null, '', '#0/5/8'); dispatchEvent(new HashChangeEvent('hashchange'))")
    page.wait("return document.querySelector('#list [aria-selected=true]').dataset.row === '8'")
    assert box(page, "#list [aria-selected=true]")["bottom"] <= 700


def test_an_address_that_changes_is_followed(page, file) -> None:
    opened = page(file, "#0/5/2")
    opened.run("location.hash = '#0/10/0/1'")
    opened.wait("return document.querySelector('#facts h2').textContent === 'token 2 of 3'")
    assert opened.one("#step").get_attribute("value") == "10"


def test_a_sample_of_the_legend_is_no_token(page, file) -> None:
    opened = page(file, "#0/10/0")
    opened.keys("3")
    opened.all("#legend .swatch .token")[0].click()
    opened.hover(opened.all("#slider .swatch .token")[0])
    assert opened.text("#facts h2") == "token"
    opened.keys("["), opened.click("#views [data-value=map]")
    opened.all("#view .strongest .token")[0].click()  # the token's own text leads to it as its button does
    assert opened.text("#facts h2") != "token"
    assert opened.complaints() == []


def test_guidance_by_a_blend_is_told_as_such(page, file) -> None:
    opened = page(file, "#0/10/0/1")
    assert "The step drew from a blend: guided is a token whose draft fell" in opened.text(".gate-note")
    titles = opened.run("return Array.from(document.querySelectorAll('#facts dt'), e => e.title)")
    assert "its draft fell" in titles
    assert "guided where it is at most w" not in titles
    opened = page(file, "#0/5/2/1")
    assert "blend" not in opened.text(".gate-note")


def test_advantages_that_are_all_0_and_demonstrations_alone_are_told_as_such(page, file) -> None:
    opened = page(file, "#0/15/0")
    opened.keys("5")
    assert opened.text("#legend .legend") == "every advantage of this step is 0"
    opened.click("#views [data-value=kinds]")
    assert opened.texts("#view .columns h3")[1] == "demonstration  1 rollout, mean reward 0.50"
    assert opened.text("#views [data-value=kinds]") == "policy | demonstration"


def test_where_a_step_has_one_kind_its_rollouts_stand_beside_each_other_the_best_first(page, file) -> None:
    opened = page(file, "#0/25/0")
    assert opened.text("#views [data-value=kinds]") == "side by side"
    opened.click("#views [data-value=kinds]")
    told = "policy  3 rollouts, mean reward 0.50; the best rewarded first, as there is nothing to set against them"
    assert opened.texts("#view h3") == [told]
    cards = opened.all("#view .card")
    assert [card.get_attribute("data-row") for card in cards] == ["2", "0", "1"]  # the last is not graded
    left, right, below = (card.rect for card in cards)
    assert left["y"] == right["y"] < below["y"]
    assert left["x"] + left["width"] <= right["x"]
    opened.click("#before")  # to a step of mixture rollouts alone
    opened.wait("return location.hash.startsWith('#0/20/')")
    assert opened.texts("#view h3")[0].startswith("mixture  1 rollout, ")
    opened.pick("#step", "5")
    opened.wait("return location.hash.startsWith('#0/5/')")
    assert opened.text("#views [data-value=kinds]") == "policy | mixture"
    assert opened.complaints() == []


def test_numbers_that_are_none_break_nothing(page, file) -> None:
    opened = page(file, "#0/20/0")
    opened.keys("12345nv"), opened.keys("v"), opened.keys("v")
    opened.put("#gamma", "400"), opened.put("#gamma-number", "0.5")
    assert opened.one("#gamma").get_attribute("value") != ""
    assert opened.text("#legend .legend") == "−1.000+1.00"
    assert opened.complaints() == []


def test_small_shares_are_told_in_two_digits(page, file) -> None:
    opened = page(file, "#0/5/2")
    assert opened.text("#curves .range") == "0.0051 – 0.25"
    assert opened.text("#curves .keys") == "guided 0.0051"
