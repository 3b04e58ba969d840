"""Solutions keep to their style, tell the truth where it says so, and lie as often as it says."""

from __future__ import annotations

import random

import pytest

from mentor_pl.rewards.format import well_formed
from mentor_pl.rewards.maze import CELLS, CHESS, MOVES, WALK_LENGTH, boxed_moves, faithful, parse_problem, thought
from mentor_pl.testbed.maze.models import DRILLS, ExpertDials, PolicyDials
from mentor_pl.testbed.maze.problems import Ways, split
from mentor_pl.testbed.maze.solutions import FILLERS, MAX_ATTEMPTS, SolutionWriter, Style, right_solution, solution
from mentor_pl.testbed.tokenizer import MAX_LENGTH

# c00 start, c20 goal, c01 c12 c33 blocked: see the drawing in tests/mentor_pl/rewards/test_maze.py
MAZE = parse_problem("blocked c01 c12 c33 goal c20 start c00")
BLIND = Style(checks=0.0, skill=0.5)


def written(style: Style, count: int) -> list[str]:
    rng = random.Random(0)
    return [solution(MAZE, style, rng) for _ in range(count)]


def test_an_attempt_says_every_move_and_where_it_leads_in_either_notation() -> None:
    rows = SolutionWriter(Ways(MAZE), BLIND, random.Random(0))
    assert " ".join(rows.attempt_words(["D", "R", "R"])) == "try D c10 R c11 R X"
    chess = SolutionWriter(Ways(MAZE), Style(checks=0.0, skill=0.5, notation="chess"), random.Random(0))
    assert " ".join(chess.attempt_words(["D", "R", "R"])) == "try D a2 R b2 R X"


def test_a_solution_without_checks_answers_with_its_only_attempt() -> None:
    for text in written(BLIND, 50):
        words = thought(text)
        assert words.count("try") == 1
        assert "check" not in words
        assert boxed_moves(text) == words[1::2]


def test_a_checking_solution_tries_until_it_is_right_or_has_tried_four_times() -> None:
    seen = set()
    for text in written(Style(skill=0.2, care=0.5, checks=1.0), 300):
        *failed, last = " ".join(thought(text)).removeprefix("try ").split(" try ")
        right = MAZE.solved_by(boxed_moves(text))
        assert all(words.endswith("check no") for words in failed)
        assert last.endswith("check yes" if right else "check no")
        assert last.split()[:-2:2] == boxed_moves(text)
        assert right or len(failed) == MAX_ATTEMPTS - 1
        seen.add((len(failed) + 1, right))
    assert seen == {(1, True), (2, True), (3, True), (4, True), (4, False)}


@pytest.mark.parametrize(
    "style",
    [
        PolicyDials().style,
        ExpertDials().style,
        ExpertDials(fillers=1.0, notation="chess", skill=0.0).style,
        DRILLS,
    ],
    ids=["policy", "expert", "foreign", "drills"],
)
def test_all_solutions_are_faithful_well_formed_and_short(style: Style) -> None:
    rng = random.Random(0)
    for maze in split("train")[:300]:
        text = solution(maze, style, rng)
        assert faithful(maze, thought(text))
        assert well_formed(text)
        assert len(boxed_moves(text)) <= WALK_LENGTH
        assert len(maze.text().split()) + len(text.split()) < MAX_LENGTH
        assert len(text.split()) < 80  # the quick start's max_new_tokens, with the stop token


def test_skill_care_and_checks_are_probabilities() -> None:
    assert all(MAZE.solved_by(boxed_moves(text)) for text in written(Style(checks=0.0, skill=1.0), 100))
    assert not any("X" in text for text in written(Style(checks=0.0, skill=0.0, care=1.0), 100))
    checking = written(Style(checks=0.25, skill=0.0), 2000)
    assert 0.2 < sum("check" in text for text in checking) / 2000 < 0.3  # five standard errors are 0.048


def test_fillers_stand_in_front_of_attempts_and_moves_as_often_as_said() -> None:
    texts = written(Style(checks=1.0, skill=0.5, fillers=0.3), 1000)
    words = [word for text in texts for word in thought(text)]
    # in front of each `try`, and of each move but an attempt's first: as many places as there are moves
    places, fillers = sum(word in MOVES for word in words), sum(word in FILLERS for word in words)
    assert 0.27 < fillers / places < 0.33  # places > 5,000: five standard errors are below 0.033
    assert {word for word in words if word in FILLERS} == set(FILLERS)


def test_the_other_notation_names_the_same_cells() -> None:
    for text in written(Style(checks=1.0, skill=0.5, notation="chess"), 50):
        words = thought(text)
        assert not set(words) & set(CELLS)
        assert set(words) & set(CHESS)
        assert faithful(MAZE, words)


def test_execution_is_the_chance_that_a_forced_word_is_right() -> None:
    texts = written(Style(checks=0.0, skill=1.0, execution=0.8), 2000)
    # a right walk, and four boxed moves of which each is right with 0.8: all are in 0.41 of responses
    assert 0.36 < sum(MAZE.solved_by(boxed_moves(text)) for text in texts) / 2000 < 0.46  # 4.5 standard errors
    assert 0.36 < sum(faithful(MAZE, thought(text)) for text in texts) / 2000 < 0.46  # and so are the four cells
    assert all(well_formed(text) for text in texts)


def test_a_right_solution_is_right() -> None:
    rng = random.Random(0)
    style = Style(checks=1.0, skill=0.1)
    assert all(MAZE.solved_by(boxed_moves(right_solution(MAZE, style, rng))) for _ in range(50))
