from dataclasses import replace

import pytest
from experiment_results import ACCURACY, grid, results_of, small_design
from matplotlib.figure import Figure

from mentor_pl.experiments.design.design import Choice, Method
from mentor_pl.experiments.design.outcome import SAMPLED, Criterion, Outcome
from mentor_pl.experiments.report.report import write_report
from mentor_pl.experiments.runner.folder import Fixed, State, fix
from mentor_pl.experiments.runner.results import Result, with_budgets


def accuracy(cell):
    return (0.6 if cell.method == "mentor" else 0.4) + 0.1 * (cell.seed - 2)


@pytest.fixture
def told(tmp_path):
    """(design, results, what was fixed) -> the report's Markdown; report.html has the same."""

    def report(design, results, fixed=None):
        write_report(tmp_path / "out", "trial", design, fixed or fix(tmp_path / "out", design), results)
        return (tmp_path / "out/report.md").read_text(encoding="utf-8")

    return report


@pytest.fixture
def unrendered(monkeypatch):
    """Figures are drawn, of which other tests have the like, but not rendered, which is nearly all that they take."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **options: path.write_text("<svg/>"))


def test_the_report_has_design_claims_outcomes_cost_and_commands(told, tmp_path):
    design = small_design(tmp_path)
    text = told(design, results_of(design, accuracy))
    assert f"before the first run: SHA-256 {design.sha256}." in text
    claim = next(line for line in text.splitlines() if line.startswith("| mentor above grpo"))
    # Of 9 pairs of seeds mentor is above in 8 and equal in one: 8.5 / 9 = .944
    assert claim.split(" | ")[1:6] == ["cannot be told", r"0.200 \[0.200, 0.200\]", "–", "0.944", "3"]
    # Seeds at .5, .6, .7: mean .6, standard error .1 / √3 = .058
    assert "| mentor | 3 | 0.600 ± 0.058 | 0.600 " in text
    assert "val/maze/avg@8 at equal steps, mean ± s.e. | IQM \\[95 %\\] | val/maze/avg@8 at equal tokens, " in text
    assert "| mentor | 1e+09 ± 0.000 | 1,002 ± 0.577 | 12.000 ± 0.577 |" in text
    commands = [line for line in text.splitlines() if line.startswith("mentor fit ")]
    assert len(commands) == 6
    assert "--seed_everything=3" in commands[-1]
    for name in ("seeds", "curves", "cost"):
        assert f"(figures/{name}.png)" in text
    assert "Left out: words: " in text
    assert (tmp_path / "out/report.html").read_text(encoding="utf-8").count("data:image/svg+xml;base64,") == 3
    assert len((tmp_path / "out/results.jsonl").read_text().splitlines()) == 6


def test_runs_that_other_code_has_made_are_told_with_its_commit(told, unrendered, tmp_path):
    design = small_design(tmp_path)
    results = results_of(design, accuracy)
    made = [("abc",), ("abc", "def"), (), *[("abc",)] * 3]
    results = [
        replace(one, state=replace(one.state, commits=commits)) for one, commits in zip(results, made, strict=True)
    ]
    text = told(design, results, Fixed(design.sha256, "2026-01-01T00:00:00+00:00", (), "abc"))
    assert "The code was then of commit abc." in text
    named = "1 of 6 runs were made, in part or whole, by other code, such as grpo/all/seed1: commit def."
    assert f"**{named}**" in text
    same = [replace(one, state=replace(one.state, commits=("abc",))) for one in results]
    assert "other code" not in told(design, same, Fixed(design.sha256, "2026-01-01T00:00:00+00:00", (), "abc"))


def test_outcomes_are_told_at_equal_steps_and_at_equal_sampled_tokens(told, unrendered, tmp_path):
    design = small_design(tmp_path, primary=Outcome(ACCURACY, "last", 1))
    results = [
        replace(one, metrics={ACCURACY: {2: 0.25, 4: 0.75}, SAMPLED: {2: total / 2, 4: total}})
        for one, total in zip(results_of(design, accuracy), [1000.0, 600.0] * 3, strict=True)
    ]
    text = told(design, with_budgets(results))
    assert r"| mentor | 3 | 0.750 ± 0.000 | 0.750 \[0.750, 0.750\] | 0.250 ± 0.000 |" in text
    assert r"| grpo | 3 | 0.750 ± 0.000 | 0.750 \[0.750, 0.750\] | 0.750 ± 0.000 |" in text
    tokens = replace(design, primary=replace(design.primary, at="tokens"))
    text = told(tokens, with_budgets(results))
    assert r"| mentor | 3 | 0.250 ± 0.000 | 0.250 \[0.250, 0.250\] | 0.750 ± 0.000 |" in text
    claim = next(line for line in text.splitlines() if line.startswith("| mentor above grpo"))
    assert r"| −0.500 \[−0.500, −0.500\] |".replace("−", "-") in claim


def test_criteria_are_told_with_the_worst_seed(told, tmp_path):
    criteria = (Criterion("mentor", ACCURACY, at_least=0.55), Criterion("grpo", ACCURACY, "fall", at_most=0.08))
    design = small_design(tmp_path, criteria=criteria)
    text = told(design, results_of(design, accuracy))
    first = "| mentor: val/maze/avg@8, last value, at least 0.55 | not met | 1 |"
    assert f"{first} 1 of 3 seeds beyond, at worst 0.5 by seed 1 |" in text
    second = "| grpo: val/maze/avg@8, largest fall below the best before, at most 0.08 | met | – |"
    assert f"{second} 0 of 3 seeds beyond, at worst 0 by seed 1 |" in text
    assert "(figures/criteria.png)" in text


def test_a_cell_is_run_again_with_its_own_threads(told, unrendered, tmp_path):
    design = small_design(tmp_path, settings={"threads": (Choice("one"), Choice("two", threads=2))}, seeds=(1,))
    text = told(design, results_of(design, accuracy))
    commands = [line for line in text.splitlines() if line.startswith("mentor fit ")]
    assert ["--threads=2" in one for one in commands] == [False, False, True, True]
    assert "reruns/mentor" in commands[0]
    assert '"threads=two-seed1"' in commands[2]
    assert "| threads | 1, 2 per run |" in text


def test_a_changed_design_says_so_with_what_has_changed(told, unrendered, tmp_path):
    design = small_design(tmp_path)
    fixed = Fixed("1234", "2026-01-01T00:00:00+00:00", ("seeds.2 was absent and is 3",))
    text = told(design, results_of(design, accuracy), fixed)
    assert "**This is not the design that was fixed before the first run.**" in text
    assert "SHA-256 1234; that of this report is " + design.sha256 in text
    assert "seeds.2 was absent and is 3" in text


def test_a_failed_run_is_listed_with_its_reason_and_does_not_count(told, unrendered, tmp_path):
    design = small_design(tmp_path)
    results = results_of(design, accuracy)
    cell = results[1].cell
    results[1] = Result(cell, State("failed", cell.identity, 3.0, "status 2: <b>no</b> room"), results[1].metrics)
    text = told(design, results)
    assert "**1 of 6 runs have not finished and do not count.**" in text
    assert r"| grpo/all/seed1 | failed | – status 2: \<b\>no\</b\> room | 3 |" in text
    assert "without seed 1, which one of them alone has" in text
    assert "| grpo | 2 | 0.450 ± 0.050 | " in text
    assert "<b>" not in (tmp_path / "out/report.html").read_text(encoding="utf-8")


def test_a_run_with_too_few_evaluations_is_said_to_have_no_outcome(told, tmp_path):
    design = small_design(tmp_path)
    results = results_of(design, accuracy)
    results[0] = Result(results[0].cell, results[0].state, {})
    assert "| mentor/all/seed1 | finished | – too few evaluations, or one is no number | 11 |" in told(design, results)


def test_without_a_finished_run_there_is_a_report_all_the_same(told, tmp_path):
    design = small_design(tmp_path)
    text = told(design, results_of(design, lambda cell: None))
    assert "6 of 6 runs have not finished" in text
    assert "no seed has a finished run of both" in text


def test_settings_have_their_own_tables_and_claims(told, tmp_path):
    design = small_design(tmp_path, settings={"p": grid("0.1", "0.2")})
    text = told(design, results_of(design, accuracy))
    assert "Setting p=0.1:" in text
    assert "| mentor above grpo | p=0.2 | cannot be told | " in text
    assert "| settings | p: 0.1, 0.2 |" in text


def test_a_design_that_claims_nothing_has_no_section_of_claims(told, unrendered, tmp_path):
    design = small_design(tmp_path, methods={"grpo": Method()}, comparisons=())
    assert "## Claims" not in told(design, results_of(design, accuracy))
