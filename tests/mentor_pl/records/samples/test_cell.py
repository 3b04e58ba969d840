"""A cell stands by itself: colours in, markup of models and the net out."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from mentor_pl.records.samples import cell as module
from mentor_pl.records.samples.cell import cell
from mentor_pl.records.samples.colours import light, style
from mentor_pl.records.samples.sample import Sample, Token

EVIL = '</p></style><script>alert(1)</script><img src=x onerror="alert(2)">&lt;'
OURS = {"html", "head", "meta", "title", "style", "body", "p", "span", "s"}


class Elements(HTMLParser):
    """Names of all elements, and the text of the body."""

    def __init__(self, html):
        super().__init__()
        self.names, self.attributes, self.text = set(), set(), ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data):
        self.text += data


def sample(*tokens):
    return Sample("prompt", "mixture", 1.0, 0.5, tokens)


def test_markup_of_a_model_is_text_wherever_it_stands():
    html = cell(sample(Token(EVIL), Token(EVIL, "guided"), Token(EVIL, "replaced", EVIL), Token(EVIL, "given")))
    found = Elements(html)
    assert found.names <= OURS
    assert found.attributes == {"lang", "charset", "http-equiv", "content", "class"}
    assert found.text.count(EVIL) == 5


def test_nothing_runs_and_nothing_is_loaded():
    html = cell(sample(Token("a")))
    (policy,), (sheet,) = re.findall(r'content="(default[^"]*)"', html), re.findall(r"<style>(.*?)</style>", html, re.S)
    digest = base64.b64encode(hashlib.sha256(sheet.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'"
    assert not re.search(r"://|url\(|@import|src=|href=", html)


def test_marks_have_the_colours_of_the_page_and_a_legend_where_they_occur():
    html = cell(sample(Token("try"), Token(" U", "guided"), Token(" yes", "replaced", " no")))
    assert style() in html
    assert '<span class="replaced"><s>no</s>yes</span>' in html
    assert 'try</span> <span class="guided">U</span>' in html
    (legend,) = re.findall(r'<p class="legend">(.*?)</p>', html)
    assert "guided" in legend and "given" not in legend
    assert "legend" not in cell(sample(Token("try"))).split("<body>")[1]


def test_a_response_without_end_is_cut_and_says_so(monkeypatch):
    monkeypatch.setattr(module, "TOKENS", 2)
    html = cell(sample(*[Token("a")] * 1202))
    assert "<p><span>aa</span> … 1,200 tokens more</p>" in html


def test_a_space_that_is_guided_can_be_seen():
    assert '<span class="guided">␣</span>' in cell(sample(Token(" ", "guided")))


def test_colours_are_those_of_the_page_on_a_light_ground():
    assert light()["guided"] == "#fde7d3"
    assert {"panel", "ink", "quiet", "guided", "replaced", "mixture", "policy", "demonstration"} <= light().keys()
