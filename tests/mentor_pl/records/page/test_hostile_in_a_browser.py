"""Text that would run, steer the display or break the layout does none of it; and a page of 1,000 rollouts works."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest.importorskip("selenium", reason="no selenium here: pip install -e .[dev]")

from recorded_runs import alternative, row, table
from selenium.webdriver.common.keys import Keys

from mentor_pl.records.page.build import write_page
from mentor_pl.records.writing import write_step

SCRIPT = "</script><script>document.title = 'run'</script>"
IMAGE = "<img src=https://example.com/x.png onerror=\"document.title = 'run'\">"
LINK = '<a href="javascript:alert(1)" style="position:fixed;inset:0">x</a><style>*{display:none}</style>'
OVERRIDE = "\u202eevil\u2066"
CONTROLS = "\x00\x07\x1b[31m\x7f\u200b\ufeff"
ZALGO = "Z" + "\u0336\u0310\u0489" * 60
WIDE = "W" * 1_000_000
BROKEN = "\ufffd\n\r\n\t"
HOSTILE = [
    SCRIPT,
    IMAGE,
    LINK,
    OVERRIDE,
    "after",
    CONTROLS,
    ZALGO,
    WIDE,
    BROKEN,
    "😀" * 300,
    "{{ 7 * 7 }}${1}",
    "<eos>",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """The page of a run whose every text is hostile, its folder's name too."""
    folder = tmp_path_factory.mktemp("hostile")
    run = folder / os.fsdecode(b"<script>alert(1)</script>\xff".replace(b"/", b"|"))
    everywhere = "\n".join(HOSTILE)
    guided = [place == 1 for place in range(len(HOSTILE))]
    listed = alternative(1, policy={"U": 0.5}, expert={"D": 0.5}, mixture={"L": 0.5})
    for law in ("policy", "expert", "mixture"):
        listed[f"{law}_pieces"] = [SCRIPT + OVERRIDE + WIDE]
    texts = dict.fromkeys(("problem_text", "answer", "prompt", "weights"), everywhere)
    rows = [
        row(HOSTILE, text=everywhere, **texts,
            parts=[{"name": SCRIPT, "value": 1.0}, {"name": "__proto__", "value": 0.5}]),
        row(HOSTILE, number=1, origin="mixture", guided=guided, replaced=guided, coins=[0.5] * len(HOSTILE),
            alternatives=[listed], **texts),
    ]  # fmt: skip
    Path(run).mkdir()
    write_step(run, 5, table(rows))
    (run / "metrics.csv").write_text(f"step,val/{LINK.replace(',', '').replace(chr(34), '')}/avg@8\n5,0.5\n")
    write_page([run], folder / "page.html", (), 1000, 10**7)
    return folder / "page.html"


@pytest.fixture
def opened(page, hostile):
    return page(hostile, "#0/5/0")


def everything(page):
    """Through all that can be seen of both rollouts."""
    for place in (0, 1):
        page.click(f'#list [data-row="{place}"]')
        for key in ("1", "2", "3", "4", "5", "n", Keys.END, Keys.HOME, Keys.ARROW_RIGHT):
            page.keys(key)
    for view in ("kinds", "map", "rollout"):
        page.click(f"#views [data-value={view}]")
    page.put("#search", "script"), page.put("#search", "")


def test_nothing_in_a_text_runs_or_leaves_the_page(opened) -> None:
    everything(opened)
    assert opened.run("return document.title").startswith("step 5 of")
    made = "return document.querySelectorAll('main img, main a, aside img, aside a, main style, main script').length"
    assert opened.run(made) == 0
    assert len(opened.all("script")) == 3  # of index, step and script
    assert opened.requests() == []
    assert opened.complaints() == []  # nor was anything tried that the policy had to refuse


def test_the_policy_would_refuse_a_script_that_got_in(opened) -> None:
    tried = """const script = document.createElement('script'); script.text = "document.title = 'run'";
        document.body.append(script); const image = new Image(); image.src = 'https://example.com/x.png';
        document.body.append(image); return document.title"""
    assert opened.run(f"try {{ {tried} }} catch (error) {{ return 'refused: ' + error.name }}") == "refused: TypeError"
    opened.run("const image = new Image(); image.src = 'https://example.com/x.png'; document.body.append(image)")
    opened.wait("return document.images[0].complete")
    assert [address for address in opened.requests() if address.startswith("http")] == []
    assert any("Content Security Policy" in line for line in opened.complaints())


def test_tokens_are_shown_as_they_are_with_their_controls_named(opened) -> None:
    shown = opened.texts("#view .tokens .token")
    assert shown[:4] == [SCRIPT, IMAGE, LINK, "RLOevilLRI"]
    assert shown[5] == "␀␇␛[31m␡ZWSPBOM"
    assert shown[7] == "W" * 200 + "… 1,000,000 characters"
    assert shown[8] == "\ufffd↵␍↵⇥"
    assert shown[9] == "😀" * 200 + "… 300 characters"
    assert opened.text("#header .run").endswith("|script>U+DCFF")


@pytest.mark.parametrize("view", ["rollout", "kinds", "map"])
def test_the_layout_stays_in_its_place(opened, view) -> None:
    opened.click(f"#views [data-value={view}]")
    opened.click('#list [data-row="1"]')
    opened.keys("n")
    assert opened.run("return document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    beyond = """const [place, css] = arguments; const edge = place.getBoundingClientRect().right + 1;
        const right = (e) => e.getBoundingClientRect().right;
        return Array.from(place.querySelectorAll(css)).filter(e => right(e) > edge).map(e => e.className)"""
    assert opened.run(beyond, opened.one("#facts"), ".piece, dd, li > *") == []
    assert opened.run(beyond, opened.one("#view"), ".card, .text, button") == []
    assert opened.run(beyond, opened.one("#side"), "select, button, #list > *") == []
    if view == "rollout":
        assert opened.run(beyond, opened.one("#view"), ".token") == []
        # what follows a mark of direction stands behind it still
        left = "return document.querySelectorAll('#view .token')[arguments[0]].getBoundingClientRect().%s"
        before, behind = (opened.run(left % side, place) for side, place in (("bottom", 3), ("bottom", 4)))
        order = opened.run(left % "left", 3) < opened.run(left % "left", 4)
        assert order or before < behind
        letters = "const s = getComputedStyle(document.querySelectorAll('#view .token')[3]); return s.unicodeBidi"
        assert opened.run(letters) == "isolate"


def test_a_thousand_rollouts_of_a_step_are_listed_searched_and_mapped(page, maze_run, tmp_path) -> None:
    run = maze_run(steps=(5,), prompts=125, policy=4, mixture=4, k=2)
    (shown,) = write_page([run], tmp_path / "page.html", (), 1000, 20 * 10**6)
    assert shown.left_out() == ""
    assert (tmp_path / "page.html").stat().st_size < 20 * 10**6
    large = page(tmp_path / "page.html")
    assert len(large.rows()) == 1000
    large.put("#search", "check no")
    found = large.rows()
    assert 0 < len(found) < 1000
    large.click(f'#list [data-row="{found[0]}"]')
    assert {text[-2:] for text in large.texts("#view .hit")} == {"ck", "no"}  # of a replaced one the draft is in front
    large.put("#gamma-number", "0.5")
    assert float(large.texts("[data-shares=slider] td")[1].split()[0]) > 0
    large.click("#views [data-value=map]")
    assert " tokens of the rollouts listed" in large.text("#view .map-note")
    assert (large.requests(), large.complaints()) == ([], [])
