import gzip
import io
import json
from dataclasses import replace

import pytest
from experiment_results import results_of, small_design
from PIL import Image

from mentor_pl.experiments.report import page as page_file
from mentor_pl.experiments.report.page import write_page
from mentor_pl.experiments.report.report import write_report
from mentor_pl.experiments.runner.folder import Fixed, fix


@pytest.fixture
def written(tmp_path):
    """Results of two methods and three seeds -> the page, in a folder that has one of before."""
    design = small_design(tmp_path)
    results = [
        replace(one, state=replace(one.state, cpu_seconds=9.0, commits=("abc",)))
        for one in results_of(design, lambda cell: (2 / 3 if cell.seed == 1 else 0.7) if cell.seed < 3 else None)
    ]
    out, page = tmp_path / "out", tmp_path / "docs/trial"
    fixed = replace(fix(out, design), commit="abc")
    report = write_report(out, "trial", design, fixed, results)

    def write(fixed: Fixed = fixed) -> str:
        command = ["mentor", "experiment", "designs/my trial.yaml"]
        return write_page(page, command, report, design, fixed, results).read_text("utf-8")

    return write, page, design


def test_a_page_has_command_time_hash_commit_and_every_seed(written):
    write, page, design = written
    text = write()
    assert "mentor experiment 'designs/my trial.yaml'\nmentor experiment 'designs/my trial.yaml' --dry\n" in text
    # Seeds 1 and 2 of two methods take 11 and 12 s by the clock, and 9 s each of processor time.
    assert "4 runs took 46 s by the clock, one after another, and 36 s of processor time." in text
    assert f"SHA-256 {design.sha256}." in text
    assert "of commit abc." in text
    assert "| mentor | all | 0.667 | 0.700 | – |" in text
    assert "Without: mentor/all/seed3 (waiting), grpo/all/seed3 (waiting)." in text
    assert json.loads((page / "design.json").read_text())["sha256"] == design.sha256
    assert not text.count(str(page.parent))  # no path of this machine


def test_figures_and_results_lie_beside_it_by_relative_paths(written):
    write, page, _ = written
    text = write()
    for name in ("seeds", "curves", "cost"):
        assert f"](trial/{name}.png)" in text
        with Image.open(page / f"{name}.png") as image:
            assert image.mode == "P"
    assert "trial/results.jsonl;" in text
    lines = (page / "results.jsonl").read_text().splitlines()
    assert len(lines) == 6
    assert json.loads(lines[0])["evaluations"]["val/maze/avg@8"]["4"] == 0.66667


def test_figures_become_smaller_and_the_least_telling_are_left_out_where_that_is_not_enough(written, monkeypatch):
    write, page, _ = written
    write()
    sizes = {name: (page / f"{name}.png").stat().st_size for name in ("seeds", "curves", "cost")}
    monkeypatch.setattr(page_file, "FIGURES", sum(sizes.values()) - 1)
    assert "Too large" not in write()
    assert sum((page / f"{name}.png").stat().st_size for name in sizes) < sum(sizes.values())
    monkeypatch.setattr(page_file, "FIGURES", (page / "seeds.png").stat().st_size)
    assert "Too large for this page, and in the report: curves, cost." in write()
    assert [path.stem for path in page.glob("*.png")] == ["seeds"]


def test_thin_lines_keep_their_colours_beside_a_thousand_shades(tmp_path):
    lines = [(0, 114, 178), (0, 158, 115), (213, 94, 0), (204, 121, 167)]
    image = Image.linear_gradient("L").convert("RGB")
    image.paste(Image.merge("RGB", [Image.radial_gradient("L").rotate(turn) for turn in (0, 90, 180)]), (128, 0))
    for place, colour in enumerate(lines):
        image.paste(colour, (0, 40 * place, 256, 40 * place + 1))
    image.save(tmp_path / "figure.png")
    with Image.open(io.BytesIO(page_file._smaller(tmp_path / "figure.png", 1.0))) as small:
        seen = [small.convert("RGB").getpixel((60, 40 * place)) for place in range(len(lines))]
    assert all(abs(a - b) <= 16 for line, got in zip(lines, seen, strict=True) for a, b in zip(line, got, strict=True))


def test_large_results_are_compressed_and_the_largest_without_evaluations(written, monkeypatch):
    write, page, _ = written

    def line():
        (first, *_) = gzip.decompress((page / "results.jsonl.gz").read_bytes()).decode().splitlines()
        return json.loads(first)

    write()
    monkeypatch.setattr(page_file, "PLAIN", 10)
    assert "trial/results.jsonl.gz;" in write()
    assert not (page / "results.jsonl").exists()
    assert line()["evaluations"] == {"val/maze/avg@8": {"0": 0.0, "2": 0.66667, "4": 0.66667}}
    before = (page / "results.jsonl.gz").read_bytes()
    write()
    assert (page / "results.jsonl.gz").read_bytes() == before
    monkeypatch.setattr(page_file, "RESULTS", 10)
    write()
    assert "evaluations" not in line()
    assert 0.66667 in line()["outcomes"].values()


def test_a_changed_design_is_told_on_the_page_too(written):
    write, *_ = written
    text = write(Fixed("1234", "2026-01-01T00:00:00+00:00", ("steps was 3 and is 4",), "abc"))
    assert "This is not the design that was fixed before the first run" in text
