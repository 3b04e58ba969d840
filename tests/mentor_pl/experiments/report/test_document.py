from html.parser import HTMLParser

import pytest

from mentor_pl.experiments.report.document import Code, Heading, Picture, Table, Text, to_html, to_markdown

HOSTILE = "<script>alert('x')</script> | *a* `b` [c](d)"


@pytest.fixture
def page(tmp_path):
    (tmp_path / "f.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    blocks = [
        Heading(HOSTILE, 1),
        Text(HOSTILE),
        Text(HOSTILE, strong=True),
        Table(("a", HOSTILE), [("1.5", HOSTILE)]),
        Code(f"```\n{HOSTILE}"),
        Picture("f", HOSTILE),
    ]
    return blocks, to_html(blocks, HOSTILE, tmp_path)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.links = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.links += [value for name, value in attributes if name in ("src", "href")]


def test_the_page_has_no_tag_of_what_it_tells_and_fetches_nothing(page):
    tags = Tags()
    tags.feed(page[1])
    assert set(tags.seen) == {
        *("html", "head", "meta", "title", "style", "body", "h1", "p", "strong", "div", "table", "thead", "tbody"),
        *("tr", "th", "td", "pre", "figure", "img", "figcaption"),
    }
    assert [link.partition(",")[0] for link in tags.links] == ["data:image/svg+xml;base64"]
    assert "default-src 'none'" in page[1]


def test_markdown_makes_nothing_of_what_it_tells(page):
    lines = to_markdown(page[0]).splitlines()
    assert lines[0] == r"# \<script\>alert('x')\</script\> \| \*a\* \`b\` \[c\](d)"
    table = [line for line in lines if line.startswith("| 1.5")]
    assert table[0].count(" | ") == 1
    assert "````" in lines  # a fence that the code does not close
    assert lines[-3].endswith("](f.png)")
    assert lines[-1] == lines[-3][2 : -len("](f.png)")]  # the caption, which a page does not show of an image


def test_numbers_are_set_to_the_right_and_words_to_the_left():
    html = to_html([Table(("a", "b", "c"), [("1.5 ± 0.1", "two", "−3")])], "t", None)
    assert '<td class="n">1.5 ± 0.1</td><td>two</td><td class="n">−3</td>' in html


def test_an_underscore_is_escaped_where_it_would_begin_or_end_emphasis_alone():
    assert to_markdown([Text("final_benchmarks.yaml _so_ a__b _")]) == "final_benchmarks.yaml \\_so\\_ a__b \\_\n"
