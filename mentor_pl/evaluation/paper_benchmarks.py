r"""The nine benchmarks of the paper's Table 1 with its protocols: avg@32 at temperature 0.6, or one greedy response.

Mathematics: `Math500`, `Aime24`, `Aime25`, `Amc83`, `Minerva`, `OlympiadBench`. Out of domain, multiple choice:
`GpqaDiamond`, `ArcChallenge`, `MmluPro`. In YAML each is a class_path, with init_args for whatever is to differ:

    benchmarks:
      - mentor_pl.evaluation.paper_benchmarks.Math500
      - class_path: mentor_pl.evaluation.paper_benchmarks.Aime24
        init_args: {path: aime24.jsonl, sampling: {max_new_tokens: 4096}}

Problems come from `path`, from `<name>.jsonl` in the callback's `folder`, or from the Hub. Both the columns of the
data sets on the Hub and plain ones are read: `id`, `problem`, `answer`, and `choices` (texts; `answer` is the letter).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.evaluation.benchmark import Benchmark, Hub
from mentor_pl.problems.prompts import PAPER_SYSTEM_PROMPT
from mentor_pl.rewards.answers.letters import LETTERS
from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.runtime.errors import UsageError

GREEDY = SamplingParams(temperature=0.0, max_new_tokens=8192)
DRAWN = SamplingParams(temperature=0.6, max_new_tokens=8192)


@dataclass(frozen=True)
class Mathematics(Benchmark):
    """One greedy response to each problem, graded by `PaperReward`."""

    name: str = "mathematics"
    samples: int = 1
    sampling: SamplingParams = field(default=GREEDY)
    system_prompt: str | None = PAPER_SYSTEM_PROMPT

    # other data sets' names of the columns that all of them have
    names: ClassVar[Mapping[str, str]] = {"question": "problem", "unique_id": "id", "question_id": "id"}

    def question(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        columns = {self.names.get(name, name): value for name, value in row.items()}
        if isinstance(columns["answer"], int | float):
            columns["answer"] = f"{columns['answer']:g}" if columns["answer"] % 1 else str(int(columns["answer"]))
        return columns


@dataclass(frozen=True)
class Math500(Mathematics):
    """MATH-500: 500 problems of MATH's test split."""

    name: str = "math500"
    rows: int | None = 500
    hub: ClassVar[Hub | None] = Hub("HuggingFaceH4/MATH-500", "test")
    licence: ClassVar[str] = "MIT"


@dataclass(frozen=True)
class Aime24(Mathematics):
    """AIME 2024, both papers."""

    name: str = "aime24"
    samples: int = 32
    sampling: SamplingParams = field(default=DRAWN)
    rows: int | None = 30
    hub: ClassVar[Hub | None] = Hub("HuggingFaceH4/aime_2024", "train")
    licence: ClassVar[str] = "© MAA"


@dataclass(frozen=True)
class Aime25(Mathematics):
    """AIME 2025, both papers."""

    name: str = "aime25"
    samples: int = 32
    sampling: SamplingParams = field(default=DRAWN)
    rows: int | None = 30
    hub: ClassVar[Hub | None] = Hub("math-ai/aime25", "test")
    licence: ClassVar[str] = "© MAA"


@dataclass(frozen=True)
class Amc83(Mathematics):
    """AMC 12 of 2022 and 2023, the 83 problems with integer answers."""

    name: str = "amc83"
    samples: int = 32
    sampling: SamplingParams = field(default=DRAWN)
    rows: int | None = 83
    hub: ClassVar[Hub | None] = Hub("AI-MO/aimo-validation-amc", "train")
    licence: ClassVar[str] = "© MAA"


@dataclass(frozen=True)
class Minerva(Mathematics):
    """Minerva Math: 272 problems of MIT OpenCourseWare."""

    name: str = "minerva"
    rows: int | None = 272
    hub: ClassVar[Hub | None] = Hub("math-ai/minervamath", "test")
    licence: ClassVar[str] = "MIT OCW, likely CC BY-NC-SA"


@dataclass(frozen=True)
class OlympiadBench(Mathematics):
    """OlympiadBench: the English, text-only mathematics with a final answer, without the row that sets `error`.

    That row's reference is right only up to the error that it names. A row's own `tolerance` is kept for the grader.
    """

    name: str = "olympiadbench"
    rows: int | None = 674
    hub: ClassVar[Hub | None] = Hub("Hothan/OlympiadBench", "train", "OE_TO_maths_en_COMP")
    licence: ClassVar[str] = "Apache-2.0"

    def question(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        if row.get("error"):
            return None
        if "final_answer" in row:
            row = {**row, "answer": ", ".join(answer.strip().strip("$") for answer in row["final_answer"])}
        return super().question(row)


@dataclass(frozen=True)
class MultipleChoice(Mathematics):
    r"""One greedy response to each problem, whose choices stand under it as lettered lines; the letter is boxed.

    What is Ohm's law about?
    A. voltage
    B. energy
    Put the letter of the right choice, and nothing else, in \boxed{}.
    """

    name: str = "choice"
    default_reward: ClassVar[type[Reward] | partial[Any]] = partial(ChoiceReward, "first")  # MMLU-Pro's own protocol

    def question(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        columns = super().question(row)
        assert columns is not None
        columns["choices"] = choices = [str(choice) for choice in columns["choices"]]
        letters = LETTERS[: len(choices)]
        if len(letters) < len(choices) or columns["answer"] not in list(letters):
            raise UsageError(
                f"benchmark {self.name}: answer {columns['answer']!r} with {len(choices)} choices: give the letter of "
                f"one, and at most {len(LETTERS)} choices"
            )
        lines = [f"{letter}. {choice}" for letter, choice in zip(letters, choices, strict=True)]
        instruction = "Put the letter of the right choice, and nothing else, in \\boxed{}."
        columns["problem"] = "\n".join([columns["problem"], *lines, instruction])
        return columns


@dataclass(frozen=True)
class GpqaDiamond(MultipleChoice):
    """GPQA-diamond: 198 questions of graduate-level science. Its authors ask that it not be posted in the open."""

    name: str = "gpqa_diamond"
    rows: int | None = 198
    hub: ClassVar[Hub | None] = Hub("Idavidrein/gpqa", "train", "gpqa_diamond")
    licence: ClassVar[str] = "CC BY 4.0, gated"

    def question(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        if "Correct Answer" in row:  # the Hub's columns: the order of the choices is drawn, the same at every reading
            right = row["Correct Answer"].strip()
            choices = [right, *(row[f"Incorrect Answer {i}"].strip() for i in (1, 2, 3))]
            random.Random(row["Question"]).shuffle(choices)
            row = {
                "id": row.get("Record ID", ""),
                "problem": row["Question"].strip(),
                "choices": choices,
                "answer": LETTERS[choices.index(right)],
            }
        return super().question(row)


@dataclass(frozen=True)
class ArcChallenge(MultipleChoice):
    """ARC-challenge: 1,172 questions of school science."""

    name: str = "arc_challenge"
    rows: int | None = 1172
    hub: ClassVar[Hub | None] = Hub("allenai/ai2_arc", "test", "ARC-Challenge")
    licence: ClassVar[str] = "CC BY-SA 4.0"

    def question(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        if "answerKey" in row:  # the Hub's columns: some questions number their choices
            choices = row["choices"]
            row = {**row, "choices": choices["text"], "answer": LETTERS[list(choices["label"]).index(row["answerKey"])]}
        return super().question(row)


@dataclass(frozen=True)
class MmluPro(MultipleChoice):
    """MMLU-Pro: 12,032 questions of fourteen subjects, with up to ten choices."""

    name: str = "mmlu_pro"
    rows: int | None = 12032
    hub: ClassVar[Hub | None] = Hub("TIGER-Lab/MMLU-Pro", "test")
    licence: ClassVar[str] = "MIT"
    names: ClassVar[Mapping[str, str]] = {**Mathematics.names, "options": "choices"}


NINE: tuple[type[Benchmark], ...] = (
    *(Math500, Aime24, Aime25, Amc83, Minerva, OlympiadBench),
    *(GpqaDiamond, ArcChallenge, MmluPro),
)


def row_counts(folder: str) -> dict[str, tuple[int, int]]:
    """Problems found in `folder` and problems there must be, of each of the nine, flawed rows left out.

    Raises:
        UsageError: for a file that is not there or cannot be read.
    """
    benchmarks = [kind() for kind in NINE]  # type: ignore[call-arg]
    return {one.name: (len(replace(one, rows=None).read(folder)), one.rows or 0) for one in benchmarks}
