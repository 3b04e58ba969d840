"""The code reward: what passes, and that nothing else does, whatever the code tries. Runs are real processes."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mentor_pl.rewards import deadline
from mentor_pl.rewards.code import CodeReward
from mentor_pl.runtime.errors import UsageError
from mentor_pl.types import Prompt, Response

TESTS = {"tests": ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]}
CASES = {"inputs": ["1 2\n", "3 4\n"], "outputs": ["3\n", "7"]}
ADD = "def add(a, b):\n    return a + b\n"


def code_reward(**settings: Any) -> CodeReward:
    """As far isolated as this system allows."""
    return CodeReward(allow_execution=True, isolation="best_effort", **settings)


@pytest.fixture(scope="module")
def reward() -> Iterator[CodeReward]:
    built = code_reward(timeout=20.0)
    yield built
    built.close()


def prompt(metadata: dict[str, Any]) -> Prompt:
    return Prompt(0, "", "", (), "", metadata)


def fenced(code: str) -> Response:
    return Response(f"Here it is.\n```python\n{code}\n```\nDone.")


def outcomes(reward: CodeReward, metadata: dict[str, Any], *codes: str) -> list[float]:
    return list(reward([prompt(metadata)] * len(codes), [fenced(code) for code in codes]).parts["outcome"])


def test_without_the_users_word_nothing_is_run() -> None:
    with pytest.raises(UsageError, match="shares the machine and its kernel; set allow_execution to true"):
        CodeReward()


def test_code_that_passes_every_test_earns_1_and_any_other_0(reward: CodeReward) -> None:
    half = "def add(a, b):\n    return 3"
    assert outcomes(reward, TESTS, ADD, half, "def add(a, b): return a - b", "def add(:", "") == [1, 0, 0, 0, 0]
    assert outcomes(reward, {"tests": "assert add(1, 2) == 3\nassert add(2, 2) == 4"}, ADD, half) == [1, 0]


def test_programs_are_compared_by_what_they_print(reward: CodeReward) -> None:
    program = "if __name__ == '__main__':\n    print(sum(map(int, input().split())), ' ')"
    ends = "import sys\nprint(sum(map(int, sys.stdin.read().split())))\nsys.exit(0)"
    fails = "print(sum(map(int, input().split())))\nraise ValueError"
    leaves = ends.replace("exit(0)", "exit(3)")
    assert outcomes(reward, CASES, program, ends, fails, leaves, "print(3)", "print(7)") == [1, 1, 0, 0, 0, 0]


def test_credit_may_be_the_share_of_tests_passed() -> None:
    shared = code_reward(credit="share", timeout=20.0)
    assert outcomes(shared, TESTS, "def add(a, b):\n    return 3", ADD) == [0.5, 1.0]
    assert outcomes(shared, CASES, "print(7)") == [0.5]
    shared.close()


CHEATS = {
    "leaves with status 0": "import sys\nsys.exit(0)",
    "ends its process": "import os\nos._exit(0)",
    "leaves from a test": "def add(a, b):\n    raise SystemExit(0)",
    "ends its process from a test": "import os\ndef add(a, b):\n    os._exit(0)",
    "prints a verdict": "print('[true, true]')\nimport os\nos._exit(0)",
    "writes to every descriptor": "import os\nfor i in range(64):\n    try:\n        os.write(i, b'[true, true]')\n"
    "    except OSError:\n        pass\nos._exit(0)",
    "changes AssertionError": "import builtins\nbuiltins.AssertionError = ValueError\ndef add(a, b):\n    return 7",
    "changes builtins": "import builtins\nbuiltins.abs = lambda x: 0\ndef add(a, b):\n    return 7",
    "kills its parent": "import os\nos.kill(os.getppid(), 9)\nos._exit(0)",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_a_cheat_earns_nothing(cheat: str, reward: CodeReward) -> None:
    tests = {"tests": ["assert abs(add(1, 2) - 3) == 0", "assert abs(add(-1, 1)) == 0"]}
    assert outcomes(reward, tests, CHEATS[cheat], ADD) == [0, 1]


GREEDY = {
    "memory": "x = bytearray(4 << 30)",
    "a huge file": "with open('x', 'wb') as f:\n    while True:\n        f.write(b'x' * 1000000)",
    "output without end": "while True:\n    print('x' * 10000)",
    "file handles": "handles = [open('x', 'w') for _ in range(1000)]",
    "processes": "import os\nwhile True:\n    os.fork()",
    "recursion": "def f():\n    f()\nf()",
}


@pytest.mark.parametrize("greed", GREEDY)
def test_code_that_takes_too_much_is_stopped_by_a_limit(greed: str, reward: CodeReward) -> None:
    grades = reward([prompt(TESTS)], [fenced(GREEDY[greed] + "\n" + ADD)])
    assert grades.parts == {"outcome": [0], "timeout": [0]}


@pytest.mark.parametrize("code", ["while True: pass", "import time\ntime.sleep(999)"])
def test_code_without_end_is_stopped_and_counted(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    short = code_reward(timeout=0.5)
    with monkeypatch.context() as patch:
        patch.setattr(deadline, "LAST_RESORT", 0.5)  # for the code that sleeps
        assert short([prompt(TESTS)], [fenced(code)]).parts == {"outcome": [0], "timeout": [1]}
        assert short([prompt(CASES)], [fenced(code)]).parts == {"outcome": [0], "timeout": [1]}
    short.close()
    shared = code_reward(credit="share", timeout=1.0)
    endless = "if input() == '3 4':\n    while True:\n        pass\nprint(3)"
    assert shared([prompt(CASES)], [fenced(endless)]).parts == {"outcome": [0.5], "timeout": [1]}
    shared.close()


def test_a_folder_too_deep_for_recursion_is_removed_and_harms_no_one(
    reward: CodeReward, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    deep = "import os\nfor _ in range(1200):\n    os.mkdir('a')\n    os.chdir('a')\n"
    assert outcomes(reward, TESTS, deep + ADD) == [1]
    assert list(tmp_path.iterdir()) == []


def test_grades_keep_their_order_and_do_not_depend_on_the_number_of_workers() -> None:
    codes = [f"def add(a, b):\n    return {'a + b' if n % 3 else '0'}" for n in range(6)]
    many, one = (code_reward(workers=n, timeout=20.0) for n in (3, 1))
    assert outcomes(many, TESTS, *codes) == outcomes(one, TESTS, *codes) == [0, 1, 1, 0, 1, 1]
    other = copy.deepcopy(many)
    assert outcomes(other, TESTS, ADD) == [1]
    for reward in (many, one, other):
        reward.close()


@pytest.mark.parametrize(
    "metadata", [{}, {"tests": []}, {"inputs": ["1"], "outputs": []}, {"tests": [1]}, {"tests": "# none\n "}]
)
def test_a_prompt_without_tests_is_the_users_mistake(metadata: dict[str, Any], reward: CodeReward) -> None:
    with pytest.raises(UsageError, match="prompt 0 has no tests: its metadata must hold tests"):
        reward([prompt(metadata)], [fenced(ADD)])


@pytest.mark.parametrize("setting", [{"workers": 0}, {"timeout": 0.0}, {"memory_mb": 1}, {"file_mb": 0}])
def test_limits_out_of_range_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        CodeReward(allow_execution=True, **setting)
