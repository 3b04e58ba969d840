"""What a person does with the page, in a real browser: every control, every key, and nothing leaves the page.

Steps are 5 and 10; rollouts of a prompt are 0 and 1 on-policy, 2 and 3 mixed. Expected numbers are those of the record.
"""

from __future__ import annotations

import pytest

pytest.importorskip("selenium", reason="no selenium here: pip install -e .[dev]")

from recorded_runs import IDS, Mazes, alternative, row, table
from selenium.webdriver.common.keys import Keys

from mentor_pl.records.page.build import write_page
from mentor_pl.records.writing import write_step

# The one mixed rollout that is known by heart: `U` was guided and replaced `D`, `L` would be at γ_p = 1.
MIXED = {
    "origin": "mixture", "gamma": 2.0, "reward": 0.25, "parts": [{"name": "outcome", "value": 0.0}],
    "entropies": [0.5, 1.5, 1.0, 0.0], "gate_weights": [0.25, 0.75, 0.5, 0.0], "coins": [0.875, 0.5, 0.75, 0.5],
    "guided": [False, True, False, False], "replaced": [False, True, False, False], "advantages": [-0.5] * 4,
    "drafts": [IDS[word] for word in ("U", "D", "L", "<eos>")], "logprobs": [-0.125, -2.5, -1.0, -0.25],
    "divergences": [0.0, 2.25, 0.25, 0.0],
    "alternatives": [
        alternative(1, policy={"D": 0.75, "U": 0.125}, expert={"U": 0.875}, mixture={"U": 0.6875, "D": 0.1875})],
}  # fmt: skip
POLICY = {"gamma": 2.0, "entropies": [0.5, 1.0, 0.0], "divergences": [0.0, 1.0, 0.0]}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of a run with two steps: of the first all is known, the second is of mazes."""
    folder = tmp_path_factory.mktemp("page")
    Mazes(steps=(5, 10), prompts=3, policy=2, mixture=2).write(folder / "one")
    rows = [
        row(["try", "yes", "<eos>"], reward=1.0, **POLICY),
        row(["try", "no", "<eos>"], number=1, reward=None, **POLICY),
        row(["U", "U", "L", "<eos>"], number=2, **MIXED),
        row(["check", "no", "<eos>"], group=1, problem=8, problem_text="other", prompt="other", reward=0.5, **POLICY),
    ]
    write_step(
        folder / "one", 5, table([one | {"drafts": one["ids"]} if i != 2 else one for i, one in enumerate(rows)])
    )
    Mazes(steps=(5, 10), prompts=1, policy=1, mixture=1, seed=1).write(folder / "two")
    write_step(folder / "two", 5, table([row(["check", "yes", "<eos>"], reward=0.75, **POLICY)]))
    write_page([folder / "one"], folder / "one.html", (), 1000, 10**7)
    write_page([folder / "one", folder / "two"], folder / "both.html", (), 1000, 10**7)
    return folder


@pytest.fixture
def first(page, file):
    """The page at its first step; behind the test nothing may have left it, and nothing been complained of."""
    opened = page(file / "one.html", "#0/5/0")
    yield opened
    assert opened.requests() == []
    assert opened.complaints() == []


def tokens(page):
    return page.texts("#view .tokens .token")


def step_and_row(page):
    return [int(part) for part in page.run("return location.hash").strip("#").split("/")[1:3]]


def test_steps_prompts_and_rollouts_are_picked(first) -> None:
    assert step_and_row(first) == [5, 0]
    assert first.rows() == [0, 1, 2, 3]
    assert tokens(first) == ["try", "yes", "<eos>"]
    first.click('#list [data-row="3"]')
    assert tokens(first) == ["check", "no", "<eos>"]
    first.pick("#prompt", "0")
    assert first.rows() == [0, 1, 2]
    assert step_and_row(first) == [5, 0]
    first.pick("#step", "10")
    first.wait("return location.hash.startsWith('#0/10/')")
    assert len(first.rows()) == 12
    first.click("#before")
    first.wait("return location.hash.startsWith('#0/5/')")
    first.all("#curves svg")[0].click()  # its middle is nearer to 5 than to 10, and already open
    assert step_and_row(first)[0] == 5


def test_rollouts_are_searched_filtered_and_sorted(first) -> None:
    first.keys("/")
    first.keys("NO")
    assert first.rows() == [1, 3]
    assert first.text("#count") == "2 of 4 rollouts"
    first.click('#list [data-row="1"]')
    assert first.texts("#view .hit") == ["no"]
    first.keys(Keys.ESCAPE)
    assert first.rows() == [0, 1, 2, 3]
    first.put("#reward-from", "0.3")
    assert first.rows() == [0, 3]  # one is not graded
    first.put("#reward-to", "0.6")
    assert first.rows() == [3]
    first.put("#reward-from", ""), first.put("#reward-to", "")
    first.put("#guided-from", "20")
    assert first.rows() == [2]  # 1 of 4 tokens
    first.put("#guided-from", ""), first.click("[data-kind=policy]")
    assert first.rows() == [2]
    first.click("[data-kind=policy]")
    first.pick("#sort", "reward")
    assert first.rows() == [0, 3, 2, 1]
    first.click("#turn")
    assert first.rows() == [1, 2, 3, 0]
    first.pick("#sort", "guided")
    assert first.rows()[0] == 2


@pytest.mark.parametrize(
    ("colour", "strong", "legend"),
    [
        ("entropy", [1, 2], "0≥ 1.50 nats"),
        ("weight", [1], "w = 01"),
        ("guidance", [], "abcguidedabcguided and replaced"),
        ("replaced", [], "abcreplaced: the draft is struck out"),
        ("advantage", [0, 1, 2, 3], "−0.500+0.50"),
    ],
)
def test_tokens_are_coloured_by_what_is_asked_for_and_a_legend_says_so(first, colour, strong, legend) -> None:
    first.click('#list [data-row="2"]')
    first.click(f"#legend [data-value={colour}]")
    assert first.one(f"#legend [data-value={colour}]").get_attribute("aria-pressed") == "true"
    assert first.text("#legend .legend") == legend
    marks = [element.get_attribute("class").split() for element in first.all("#view .token")]
    assert [i for i, classes in enumerate(marks) if "strong" in classes] == strong
    assert [i for i, classes in enumerate(marks) if "replaced" in classes] == ([1] if "abc" in legend else [])
    drafts = [element.is_displayed() for element in first.all("#view .draft")]
    assert drafts == [colour == "replaced"]
    if colour == "advantage":
        assert all("below" in classes for classes in marks)
    else:
        style = "return getComputedStyle(document.querySelectorAll('#view .token')[%d]).backgroundColor"
        assert first.run(style % 1) != first.run(style % 3)


def test_no_mark_is_a_colour_alone(first) -> None:
    first.click('#list [data-row="2"]'), first.keys("3"), first.put("#search", "l")
    assert first.style("#view .token.replaced", "borderBottomStyle") == "double"
    assert first.style("#legend .token.guided", "borderBottomStyle") == "solid"
    assert first.style("#view .token.hit", "textDecorationLine") == "underline"
    first.put("#search", ""), first.click("h1"), first.keys("n")
    assert first.style("#facts .law li.fell .name", "textDecorationLine") == "line-through"
    first.put("#gamma-number", "1")
    assert first.style("#view .token.gained", "outlineStyle") == "dashed"
    first.put("#gamma", "1000")
    assert first.style("#view .token.lost", "outlineStyle") == "dotted"


def test_a_tokens_facts_follow_pointer_click_and_keys(first) -> None:
    first.click('#list [data-row="2"]')
    first.hover(first.all("#view .token")[2])
    assert (first.text("#facts h2"), first.fact("entropy")) == ("token 3 of 4", "1.000")
    first.all("#view .token")[1].click(), first.hover(first.one("h1"))
    facts = {"id": str(IDS["U"]), "logprob": "−2.500", "entropy": "1.500", "weight": "0.750", "coin": "0.500",
             "guided": "yes", "replaced": "yes", "draft": f"D {IDS['D']}", "advantage": "−0.500",
             "divergence": "2.250"}  # fmt: skip
    assert {name: first.fact(name) for name in facts} == facts
    assert first.texts("#facts .law h3") == ["πθ policy", "π* expert", "πmix mixture"]
    assert first.texts("#facts .law li") == ["D0.750", "U0.125◂", "U0.875◂", "U0.688◂", "D0.188"]
    widths = first.run("return Array.from(document.querySelectorAll('.bar'), e => e.style.getPropertyValue('--share'))")
    assert [round(float(width), 2) for width in widths] == [0.75, 0.13, 0.87, 0.69, 0.19]
    first.keys(Keys.ARROW_RIGHT)
    assert first.text("#facts h2") == "token 3 of 4"
    assert first.fact("coin") == "0.750"
    assert "Distributions are recorded at guided tokens only." in first.text("#facts")
    assert first.run("return document.activeElement.dataset.i") == "2"  # and it is seen to have the focus
    assert first.run("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_slider_shows_at_once_what_another_threshold_would_have_guided(first) -> None:
    def shares(key):
        return first.texts(f"[data-shares={key}] td")

    first.click('#list [data-row="2"]')
    assert shares("run") == ["0.0 %", "25.0 %", "25.0 %"]  # policy, mixture, this rollout
    assert shares("slider") == ["–"] * 3
    assert first.one("#gamma-number").get_attribute("value") == "2"
    first.put("#gamma-number", "1")
    # coins 0.875, 0.5, 0.75, 0.5 against 0.5, 1, 1, 0; of policy rollouts the mean of 0.5, 1, 0
    assert shares("slider") == ["50.0 %", "50.0 %", "50.0 %"]
    assert first.texts("#view .token.gained") == ["L"]
    assert first.fact("slider_weight") is None
    first.keys(Keys.HOME)
    assert first.fact("slider_weight") == "0.500"
    first.put("#gamma", "1000")  # its end is no guidance
    assert shares("slider") == ["0.0 %"] * 3
    assert first.texts("#view .token.lost") == ["DU"]  # with the draft in front, which is not shown
    assert "no guidance" in first.one("#gamma").get_attribute("aria-valuetext")
    first.one("#gamma").send_keys(Keys.ARROW_LEFT)
    assert first.one("#gamma").get_attribute("value") == "999"
    first.click("#gamma-reset")
    assert shares("slider") == ["–"] * 3
    assert first.all("#view .token.gained, #view .token.lost") == []


def test_policy_and_mixture_of_a_prompt_stand_beside_each_other(first) -> None:
    first.click("#views [data-value=kinds]")
    columns = first.all("#view .columns > section")
    assert [len(column.find_elements("css selector", ".card")) for column in columns] == [2, 1]
    assert first.texts("#view .columns h3") == [
        "policy  2 rollouts, mean reward 1.00",
        "mixture  1 rollout, mean reward 0.25",
    ]
    left, right = (column.rect for column in columns)
    assert left["x"] + left["width"] <= right["x"]
    assert left["y"] == right["y"]
    first.all("#view .card")[2].find_elements("css selector", ".token")[1].click()
    assert first.fact("draft").startswith("D")
    assert step_and_row(first) == [5, 2]
    assert first.one("#view .card.open").get_attribute("data-row") == "2"


def test_points_of_the_map_lead_to_their_tokens(first) -> None:
    first.click("#views [data-value=map]")
    assert first.text("#view .map-note").startswith("KL(π* ‖ πθ) in nats; 0 where it was not measured. 13 tokens")
    first.keys(Keys.ESCAPE)
    strongest = first.all("#view .strongest button")
    assert strongest[0].text.startswith("U")
    canvas = first.one("#map")
    # square roots: entropy 1.5 of 1.5 is the right end, divergence 2.25 of 2.25 the top
    move = """const box = arguments[0].getBoundingClientRect();
        arguments[0].dispatchEvent(new PointerEvent('pointermove', {clientX: box.right - 14, clientY: box.top + 12}))"""
    first.run(move, canvas)
    assert canvas.get_attribute("data-near") == "2:1"
    assert first.fact("divergence") == "2.250"
    canvas.send_keys(Keys.ARROW_DOWN), canvas.send_keys(Keys.ENTER)
    assert first.run("return document.querySelector('#views [aria-pressed=true]').dataset.value") == "rollout"
    assert first.fact("divergence") in ("1.000", "0.250")
    first.click("#views [data-value=map]")
    first.all("#view .strongest button")[0].click()
    assert first.run("return location.hash") == "#0/5/2/1"


def test_every_key_does_what_the_help_says(first) -> None:
    def on(name):
        return first.run(f"return document.querySelector('#{name} [aria-pressed=true]').dataset.value")

    first.keys("j"), first.keys(Keys.ARROW_DOWN)
    assert step_and_row(first) == [5, 2]
    first.keys("n")
    assert first.text("#facts h2") == "token 2 of 4"
    first.keys(Keys.ARROW_LEFT)
    assert first.text("#facts h2") == "token 1 of 4"
    first.keys(Keys.END)
    assert first.text("#facts h2") == "token 4 of 4"
    first.keys("N")
    assert first.text("#facts h2") == "token 2 of 4"
    first.keys("k"), first.keys(Keys.ARROW_UP), first.keys("k")
    assert step_and_row(first) == [5, 0]
    for key, name in zip("12345", ("entropy", "weight", "guidance", "replaced", "advantage"), strict=True):
        first.keys(key)
        assert on("legend") == name
    first.keys("v")
    assert on("views") == "kinds"
    first.keys("vv")
    assert on("views") == "rollout"
    first.keys("]")
    first.wait("return location.hash.startsWith('#0/10/')")
    first.keys("[")
    first.wait("return location.hash.startsWith('#0/5/')")
    first.keys("?")
    assert first.one("#help").is_displayed()
    first.keys("j")  # none of the page's
    assert step_and_row(first) == [5, 2]  # where a replaced token is, since step 10 has other prompts
    first.keys(Keys.ESCAPE)
    assert not first.one("#help").is_displayed()
    first.keys(Keys.HOME), first.keys(Keys.ESCAPE)
    assert first.text("#facts h2") == "token"


def test_dark_and_light_follow_the_system_until_one_is_chosen(first) -> None:
    ground = "return getComputedStyle(document.documentElement).backgroundColor"
    scheme = "Emulation.setEmulatedMedia"
    light = first.run(ground)
    first.driver.execute_cdp_cmd(scheme, {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    dark = first.run(ground)
    assert light != dark
    first.keys("t")
    assert first.run(ground) == light
    first.click("#theme")
    assert first.run(ground) == dark
    first.driver.execute_cdp_cmd(scheme, {"features": []})
    assert first.run(ground) == dark


def test_curves_tell_their_values_at_the_step_that_is_open_or_pointed_at(first) -> None:
    assert first.texts("#curves b") == ["reward", "accuracy", "entropy, nats", "length, tokens", "guided share", "γp"]
    at_five = first.texts("#curves .keys")
    first.keys("]")
    first.wait("return location.hash.startsWith('#0/10/')")
    assert first.texts("#curves .keys") != at_five
    assert first.texts("#curves .keys")[1].count("held out (maze)") == 1


def test_a_second_run_stands_beside_the_first_at_the_same_step_and_prompt(page, file) -> None:
    both = page(file / "both.html", "#0/5/1")
    both.click("#views [data-value=runs]")
    both.wait("return document.querySelectorAll('#view .columns > section').length === 2")
    titles = [text.partition("  ")[0] for text in both.texts("#view .columns h3")]
    assert titles == [f"{file.name}/{name}, step 5" for name in ("one", "two")]
    assert both.texts("#view .columns > section:last-child .token") == ["check", "yes", "<eos>"]
    both.click('#list [data-row="3"]')
    both.wait("return document.querySelector('#view').textContent.includes('Problem 8 is not among its rollouts')")
    both.pick("#run", "1")
    both.wait("return location.hash.startsWith('#1/5/')")
    assert both.rows() == [0]
    assert both.style("#curves polyline.run-1", "strokeDasharray") == "4px, 3px"
    assert (both.requests(), both.complaints()) == ([], [])
