"""Names that a configuration may use, and the nearest to one that it may not."""

from __future__ import annotations

import pytest

from mentor_pl.cli.errors import names
from mentor_pl.cli.errors.names import Unimportable, among, implementers, import_class, import_path, shortfall
from mentor_pl.rewards.base import Reward
from mentor_pl.rewards.choice import ChoiceReward
from mentor_pl.rewards.math import MathReward
from mentor_pl.rewards.maze import MazeReward


def test_the_nearest_name_and_what_is_accepted() -> None:
    assert among("stpes", ["steps", "lr"]) == "did you mean 'steps'? Accepted: steps, lr"
    assert among("xyz", ["steps", "lr"]) == "accepted: steps, lr"
    assert among("xyz", []) == "accepted: nothing"
    many = [f"name{i}" for i in range(17)]
    assert among("name3x", many) == "did you mean 'name3'?"  # a list of so many helps nobody


def test_a_class_is_imported_by_its_path_and_by_its_bare_name() -> None:
    assert import_class("mentor_pl.rewards.choice.ChoiceReward", Reward) is ChoiceReward
    assert import_class("ChoiceReward", Reward) is ChoiceReward


def test_where_any_class_or_function_will_do_a_bare_name_is_none() -> None:
    with pytest.raises(Unimportable, match=r"^'ChoiceReward' is not the import path of a class or function$"):
        import_class("ChoiceReward", object)


def test_a_bare_name_that_the_parser_could_not_know_gets_its_path(monkeypatch) -> None:
    late: list[type] = []

    def imported(module: str) -> list[object]:
        late.append(type("LateReward", (MazeReward,), {}))
        return []

    monkeypatch.setattr(names, "_siblings", imported)
    with pytest.raises(Unimportable, match=r"did you mean .*LateReward"):
        import_class("LateReward", Reward)
    assert late


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("mentor_pl.rewards.choise.ChoiceReward", "no module named 'mentor_pl.rewards.choise'; did you mean mentor_pl"),
        ("mentor_pl.rewards.math.MathRewad", "module 'mentor_pl.rewards.math' has no 'MathRewad'; did you mean mentor"),
        ("Nothing", "'Nothing' is not the import path of a Reward; known: "),
        ("mentor_pl.rewards.choice.LETTERS", "'mentor_pl.rewards.choice.LETTERS' is no class but 'ABCDEFGHIJ'"),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends_and_what_is_near(path: str, reason: str) -> None:
    assert MathReward  # known once it is imported
    with pytest.raises(Unimportable) as caught:
        import_class(path, Reward)
    assert str(caught.value).startswith(reason)


def test_a_module_that_fails_to_import_says_why(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_module.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Unimportable, match="importing 'broken_module' fails: ZeroDivisionError"):
        import_class("broken_module.Reward", Reward)


class Half(Reward):
    pass


def test_what_keeps_a_class_from_standing_for_another() -> None:
    assert shortfall(MazeReward, Reward) == ""
    assert shortfall(dict, Reward) == "it does not subclass mentor_pl.rewards.base.Reward"
    assert shortfall(Half, Reward).startswith("it lacks ")


def test_those_at_hand_are_named_and_half_made_ones_are_not() -> None:
    assert import_path(MazeReward) == "mentor_pl.rewards.maze.MazeReward"
    assert "Half" not in implementers(Reward)
    assert implementers(Reward).startswith("; known: ")
