from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from packed import unpack
from recorded_runs import row

from mentor_pl.records.page import build
from mentor_pl.records.page.build import write_page
from mentor_pl.runtime.errors import UsageError

FOLDER = Path(build.__file__).parent


@pytest.fixture
def html(recorded_step, tmp_path):
    write_page([recorded_step([row(["</script>", "<eos>"])])], tmp_path / "new/page.html", (), 1000, 10**7)
    return (tmp_path / "new/page.html").read_text("utf-8")


def between(html, opening, closing):
    return re.findall(f"{opening}(.*?){closing}", html, re.DOTALL)


def test_the_policy_lets_our_script_and_style_in_and_nothing_else(html) -> None:
    (policy,) = between(html, 'Content-Security-Policy" content="', '"')
    (script,), (style,) = between(html, "<script>", "</script>"), between(html, "<style>", "</style>")
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (script, style)]
    assert re.findall(r"sha256-([^&']+)", policy) == hashes
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy


def test_records_are_in_it_as_letters(html) -> None:
    (letters,) = between(html, 'id="step-0-5">', "</script>")
    assert unpack(letters)[0]["step"] == 5
    assert html.count("</script>") == 3  # of index, step and script: none of a model
    (index,) = between(html, 'id="index">', "</script>")
    assert unpack(index)[0]["runs"][0]["steps"] == [5]


def test_it_names_no_place_to_fetch_from(html) -> None:
    assert set(re.findall(r"\w+://[^\s\"'<)]*", html)) == {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.findall(r"\s(?:src|href|action)=", html)


def test_every_script_and_style_is_part_of_it_small_and_leaves_markup_alone() -> None:
    for folder, names, suffix in (("script", build.SCRIPTS, "js"), ("style", build.STYLES, "css")):
        assert sorted(names) == sorted(path.stem for path in (FOLDER / folder).iterdir())
        for name in names:
            text = (FOLDER / folder / f"{name}.{suffix}").read_text("utf-8")
            assert len(text.splitlines()) <= 250
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|</", text
            )


def test_a_folders_name_is_text(recorded_step, tmp_path) -> None:
    run = recorded_step([row(["U"])]).rename(tmp_path / "<b>")
    write_page([run], tmp_path / "page.html", (), 1000, 10**7)
    assert "&lt;b&gt; · mentor view</title>" in (tmp_path / "page.html").read_text("utf-8")


def test_a_file_that_cannot_be_written_is_refused_and_leaves_nothing(recorded_step, tmp_path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(UsageError, match=r"taken: the page cannot be written .*: name another file by --out"):
        write_page([recorded_step([row(["U"])])], tmp_path / "taken", (), 1000, 10**7)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "taken"]
