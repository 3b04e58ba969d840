"""Print how well the rewards grade: agreement with labels, hostile strings, speed, row counts; exit 1 below a bar.

    python scripts/check_rewards.py --data DIR [--json FILE] [--workers 2]

Checks on real data are skipped, with a line that says so, where DIR does not hold it.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mentor_pl.evaluation.labelled_pairs import Report, grade_pairs, read_pairs, taken_answer
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.pool.pool import WorkerPool
from mentor_pl.types import Prompt, Response

BARS = {
    "gsm8k_openai_samples": 0.995,
    "processbench": 0.98,
    "math500_answers_read": 0.985,
    "qwen_math_cot_100": 0.995,
    "hardverify_math": 0.80,
    "math_verify_tests": 0.97,
    "areal_reward_cases": 0.98,
    "mmlu_pro_letters": 0.99,
    "reported_failures": 0.95,
    "reported_passing": 0.995,
    "unit_cases_misc": 0.0,  # several libraries' conventions at once: reported, no bar
    "conventions_asked": 0.0,  # questions on which reasonable people differ
}
HOSTILE, NORMAL, WRONG = 200, 2000, 10_000


@dataclass
class CheckRow:
    """One line of the table; `passed` is None where the data are missing."""

    check: str
    result: str
    bar: str
    passed: bool | None
    details: list[str]


def main() -> int:
    """Run every check; 1 if one fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real data: benchmarks/ and verifier/")
    parser.add_argument("--json", type=Path, help="also write the table here")
    parser.add_argument("--workers", type=int, default=2, help="grading processes")
    arguments = parser.parse_args()
    reward = MathReward(workers=arguments.workers)
    rows: list[CheckRow] = []
    benchmark = arguments.data / "benchmarks" / "math500.jsonl"
    checks: list[tuple[Path | None, Callable[[], CheckRow]]] = [
        (benchmark, lambda: references(reward, benchmark)),
        (benchmark, lambda: wrong_pairs(reward, benchmark)),
    ]
    for name, bar in BARS.items():
        path = arguments.data / "verifier" / f"{name}.jsonl"
        checks.append((path, lambda path=path, bar=bar: agreement(reward, path, bar)))  # type: ignore[misc]
    answers = arguments.data / "verifier" / "math500_answers_read.jsonl"
    checks += [
        (None, lambda: hostile(arguments.workers)),
        (None, lambda: throughput(reward, "made answers", normal_answers(NORMAL))),
        (answers, lambda: throughput(reward, "a model's answers to MATH-500", real_answers(answers))),
        (benchmark, lambda: nine_benchmarks(benchmark.parent)),
    ]
    for path, check in checks:
        row = check() if path is None or path.exists() else CheckRow(path.stem, f"skipped: no {path}", "", None, [])
        rows.append(row)
        mark = {True: "ok", False: "BELOW", None: "skipped"}[row.passed]
        print(f"| {row.check} | {row.result} | {row.bar} | {mark} |", flush=True)
        for line in row.details:
            print(f"    {line}")
    reward.close()
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 1 if any(row.passed is False for row in rows) else 0


def prompt(answer: str) -> Prompt:
    """A prompt that only a grader looks at."""
    return Prompt(0, "", answer, ())


def references(reward: MathReward, path: Path) -> CheckRow:
    """Every reference solution, as the response, against its answer."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    total = reward([prompt(row["answer"]) for row in rows], [Response(row["solution"]) for row in rows]).total
    wrong = [str(row["id"]) for row, one in zip(rows, total, strict=True) if one != 1]
    right = len(rows) - len(wrong)
    return CheckRow("MATH-500 references", f"{right} / {len(rows)}", "500 / 500", right == len(rows) == 500, wrong)


def wrong_pairs(reward: MathReward, path: Path) -> CheckRow:
    """Answers of other problems, which are not equal as strings."""
    answers = [json.loads(line)["answer"] for line in path.read_text().splitlines()]
    draw = random.Random(0)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < WRONG:
        ours, theirs = draw.choice(answers), draw.choice(answers)
        if ours != theirs:
            pairs.append((ours, theirs))
    started = time.perf_counter()
    total = reward([prompt(theirs) for _, theirs in pairs], [Response(rf"\boxed{{{ours}}}") for ours, _ in pairs]).total
    seconds = time.perf_counter() - started
    accepted = sorted({pair for pair, one in zip(pairs, total, strict=True) if one == 1})
    details = [f"{ours}  =  {theirs}: {why(reward, ours, theirs)}" for ours, theirs in accepted]
    result = f"{sum(one == 1 for one in total)} accepted of {WRONG}, each listed ({seconds:.1f} s)"
    return CheckRow("wrong answers", result, "0, or each listed with why", len(accepted) <= 10, details)


def why(reward: MathReward, ours: str, theirs: str) -> str:
    """The convention without which a pair is not equal."""
    strict = {
        "units": "require",
        "base_suffix": "require",
        "percent": "exact",
        "left_side": "require",
        "list_order": "keep",
        "letters": "require",
        "decimals": "exact",
    }
    for name, choice in strict.items():
        rules = replace(reward.conventions, **{name: choice})  # type: ignore[arg-type]
        if reward.pool.submit(rules.request(ours, theirs)).result() is False:
            return f"{name}={getattr(reward.conventions, name)}"
    return "equal under every convention"


def agreement(reward: MathReward, path: Path, bar: float) -> CheckRow:
    """Agreement with a file's labels, and math-verify's beside it."""
    pairs = read_pairs(path)
    report = grade_pairs(pairs, reward)
    false = [v for v in report.disagreements if v.accepted]
    details = [
        f"{'accepted' if v.accepted else 'rejected'} {v.answer[:70]!r} for {v.gold[:70]!r}"
        for v in report.disagreements
    ]
    theirs = math_verify_alone(report)
    result = (
        f"{100 * report.agreement:.2f} % of {report.labelled} "
        f"({len(false)} wrongly accepted, {len(report.disagreements) - len(false)} wrongly rejected)" + theirs
    )
    return CheckRow(path.stem, result, f"{100 * bar:.1f} %" if bar else "-", report.agreement >= bar, details)


def math_verify_alone(report: Report) -> str:
    """What math-verify says of the same answers, those of multiple choice aside: agreement and both kinds of error."""
    judged = [v for v in report.verdicts if "choice" not in v.kind and v.correct is not None]
    if not judged:
        return ""
    pool = WorkerPool("mentor_pl.evaluation.math_verify_alone:grade_request", timeout=3.0)
    try:
        asked = [pool.submit({"answer": v.answer, "reference": v.gold}) for v in judged]
        accepted = [future.result() is True for future in asked]
    finally:
        pool.close()
    false = sum(yes and not v.correct for yes, v in zip(accepted, judged, strict=True))
    missed = sum(not yes and bool(v.correct) for yes, v in zip(accepted, judged, strict=True))
    share = 100 * (1 - (false + missed) / len(judged))
    return f"; math-verify alone {share:.2f} % of {len(judged)} ({false} and {missed})"


def hostile_answers() -> list[str]:
    """200 answers made to hang, crash or confuse a grader."""
    shapes: list[Callable[[int], str]] = [
        lambda n: "9^{" * n + "9" + "}" * n,
        lambda n: rf"10^{{10^{{{n + 5}}}}}",
        lambda n: "(" * n + "5" + "!)" * n,
        lambda n: rf"{10**n}!",
        lambda n: rf"\binom{{{10**n}}}{{{10**n // 2}}}",
        lambda n: "{" * (300 * n) + "7" + "}" * (300 * n),
        lambda n: r"\sqrt{" * (40 * n) + "2" + "}" * (40 * n),
        lambda n: r"\frac{1}{" * (40 * n) + "3" + "}" * (40 * n),
        lambda n: "1234567890" * (100_000 * min(n, 1)) + str(n),
        lambda n: "7" * (390 + n) + "^{" + "3" * n + "}",
        lambda n: f"(x+y+z+{n})^{{{10**n}}}",
        lambda n: r"\begin{pmatrix}" + r"\\".join(["&".join(["x^9"] * 60)] * 10 * n) + r"\end{pmatrix}",
        lambda n: rf"\int_0^{{{n}}} \sin(x^{{x^x}}) \, dx",
        lambda n: rf"\sum_{{k=1}}^{{10^{{{n + 4}}}}} \frac{{1}}{{k^k}}",
        lambda n: "\x00\x01\x1b[31m" * n + "3",
        lambda n: "{" * n + "4" + "}" * (n // 2),
        lambda n: r"\def\a{\a\a}" + r"\a" * 50 * n,
        lambda n: r"\newcommand{\x}[1]{#1#1}" + r"\x{" * n + "1" + "}" * n,
        lambda n: "٣" * n + "①½²³" + "\u202e\ufeff\u0301" * 50 * n,
        lambda n: r"\sin(" * 12 * n + "x" + ")" * 12 * n,
        lambda n: " + ".join(rf"\sqrt[{k + 2}]{{{k}}}" for k in range(3, 40 * n)),
        lambda n: "1," * (400 * n) + "2",
        lambda n: "\ud800" * n + "5",
        lambda n: "__import__('os').system('true')" + "#" * n,
        lambda n: "\\cos".join(["2^x"] * 30 * n),
    ]  # fmt: skip
    return [shape(n) for n in range(1, 9) for shape in shapes]


def normal_answers(count: int) -> list[tuple[str, str, bool]]:
    """(answer, reference, right) as models write them: half numbers, half algebra, one in two right."""
    draw = random.Random(1)
    made: list[tuple[str, str, bool]] = []
    while len(made) < count:
        a, b, c = draw.randint(2, 99), draw.randint(2, 99), draw.choice([2, 3, 5, 7, 11])
        shift = draw.randint(0, 1)
        right = shift == 0
        made += [
            (str(a), str(a + shift), right),
            (f"{a}.{b:02d}", rf"\frac{{{100 * a + b + shift}}}{{100}}", right),
            (rf"\frac{{{2 * a}}}{{{2 * b}}}", rf"\frac{{{a + shift * b}}}{{{b}}}", right),
            (rf"{a}\sqrt{{{c}}}", rf"\sqrt{{{a * a * c + shift}}}", right),
            (rf"x = {a}", str(a + shift), right),
            (rf"\left( {a}, {b} \right)", f"({a},{b + shift})", right),
            (f"{b}, {a}", f"{a}, {b}, {a + b}" if shift else f"{a}, {b}", right),
            (f"{a}x + {b}", f"{b + shift} + {a}x", right),
            (rf"{a} \text{{ cm}}", str(a + shift), right),
            (rf"[{-a}, {b})", rf"{-a} \leq x < {b + shift}", right),
        ]
    return made[:count]


def hostile(workers: int) -> CheckRow:
    """Hostile answers among normal ones: every normal grade right, none hangs, few kills, in time."""
    bad, good = hostile_answers(), normal_answers(NORMAL)
    items = [(answer, "5", None) for answer in bad] + [(a, b, right) for a, b, right in good]
    random.Random(2).shuffle(items)
    reward = MathReward(workers=workers)
    started = time.perf_counter()
    grades = reward([prompt(b) for _, b, _ in items], [Response(rf"\boxed{{{a}}}") for a, _, _ in items])
    seconds = time.perf_counter() - started
    kills = reward.timeouts
    reward.close()
    swapped = [
        f"{a} = {b} graded {one}"
        for (a, b, right), one in zip(items, grades.total, strict=True)
        if right is not None and one != float(right)
    ]
    fooled = [
        f"{a[:60]!r} accepted" for (a, _, right), one in zip(items, grades.total, strict=True) if right is None and one
    ]
    passed = not swapped and not fooled and kills <= len(bad) and seconds <= 60 and len(bad) == HOSTILE
    result = f"{len(swapped)} wrong grades, {len(fooled)} accepted, {kills} kills, {seconds:.1f} s"
    return CheckRow(
        f"{len(bad)} hostile among {NORMAL}", result, "0, 0, at most 200, at most 60 s", passed, swapped + fooled
    )


def real_answers(path: Path) -> list[tuple[str, str, bool]]:
    """(answer, reference, right): a model's answers, each against its own reference and against the next problem's."""
    rows = read_pairs(path)
    pairs = [(taken_answer(row["prediction"], "answer"), row["gold"]) for row in rows]
    labels = [bool(row["correct"]) for row in rows]
    other = [(answer, reference) for (answer, _), (_, reference) in zip(pairs, pairs[1:] + pairs[:1], strict=True)]
    apart = [(answer, reference, False) for answer, reference in other if answer != reference]
    return [(answer, reference, right) for (answer, reference), right in zip(pairs, labels, strict=True)] + apart


def throughput(reward: MathReward, what: str, items: list[tuple[str, str, bool]]) -> CheckRow:
    """Answers per second, workers warm."""
    prompts = [prompt(b) for _, b, _ in items]
    responses = [Response(rf"So it is $\boxed{{{a}}}$.") for a, _, _ in items]
    reward(prompts[:20], responses[:20])
    started = time.perf_counter()
    total = reward(prompts, responses).total
    rate = len(items) / (time.perf_counter() - started)
    wrong = [f"{a} = {b} graded {t}" for (a, b, right), t in zip(items, total, strict=True) if t != float(right)]
    return CheckRow(f"{what}, per second", f"{rate:.0f} of {len(items)}", "500", rate >= 500 and not wrong, wrong)


def nine_benchmarks(folder: Path) -> CheckRow:
    """Problems of each benchmark, flawed rows left out, against the number there must be."""
    from mentor_pl.evaluation.paper_benchmarks import row_counts  # brings torch along, which nothing else here needs

    counts = row_counts(str(folder))
    wrong = [f"{name}: {found} problems, not {wanted}" for name, (found, wanted) in counts.items() if found != wanted]
    result = ", ".join(str(found) for found, _ in counts.values())
    bar = ", ".join(str(wanted) for _, wanted in counts.values())
    return CheckRow("nine benchmarks, rows", result, bar, not wrong and len(counts) == 9, wrong)


if __name__ == "__main__":
    sys.exit(main())
