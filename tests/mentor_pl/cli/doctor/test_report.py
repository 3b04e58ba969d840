"""How findings are printed and counted."""

from __future__ import annotations

import pytest

from mentor_pl.cli.doctor.report import Report, detail, ok, problem, size, warning


@pytest.mark.parametrize("width", [80, 120])
def test_lines_keep_within_the_width_and_end_in_no_space(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report()
    report.console.width = width
    report.group("Title", [ok("word " * 40), problem("short", "remedy " * 30), detail("below")])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= width and line == line.rstrip() for line in lines)
    assert lines[0] == "Title"
    assert lines[1].startswith("  ok      word word")
    assert lines[2].startswith("          word")  # below itself
    (first,) = [i for i, line in enumerate(lines) if line == "  problem short"]
    assert lines[first + 1].startswith("          → remedy")
    assert lines[first + 2].startswith("            remedy")
    assert lines[-2] == "          below"


def test_text_is_taken_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    Report().group("Title", [ok("[bold]not markup[/bold] \\boxed{1}")])
    assert "  ok      [bold]not markup[/bold] \\boxed{1}" in capsys.readouterr().out


def test_only_problems_make_the_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.group("a", [ok("fine"), detail("more")])
    assert report.close(1.25) == 0
    report.group("b", [warning("odd", "look"), warning("odd")])
    assert report.close(1.25) == 0
    report.group("c", [problem("bad")])
    assert report.close(1.25) == 1
    verdicts = [line for line in capsys.readouterr().out.splitlines() if line.endswith(" s)")]
    assert verdicts == ["all is fine (1.2 s)", "0 problems, 2 warnings (1.2 s)", "1 problem, 2 warnings (1.2 s)"]


def test_sizes_have_few_digits() -> None:
    assert [size(n) for n in (2**20, 2**30, 1.5 * 2**40)] == ["1.0 MiB", "1.0 GiB", "1,536.0 GiB"]
