"""Landlock, seccomp and namespaces: each holds where the others are refused, and what is missing is said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mentor_pl.rewards.code import CodeReward
from mentor_pl.rewards.sandbox import landlock, runner
from mentor_pl.rewards.sandbox.runner import missing_isolation
from mentor_pl.runtime.errors import UsageError

ROOT = Path(__file__).parents[4]
# A system that refuses `calls`, and what a run there finds.
REFUSING = """
import json, os, sys
from mentor_pl.rewards.sandbox import seccomp
from mentor_pl.rewards.sandbox.runner import Limits, execute, missing_isolation
calls, file, code = json.loads(sys.argv[1])
seccomp._NUMBERS["landlock"] = (444, 444)
import ctypes
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # no new privileges, which a filter asks for
assert not calls or seccomp.refuse(calls)
code = code.replace("FILE", repr(file)).replace("PID", str(os.getpid()))
done = execute(code, [], "", 20.0, Limits(), required=False)
print(json.dumps([missing_isolation(), done.output]))
"""
READS = """
import ctypes, os, socket
def attempt(reach):
    try:
        return bool(reach())
    except OSError:
        return False
print([
    attempt(lambda: open(FILE).read()),
    attempt(lambda: open('/proc/PID/environ', 'rb').read()),
    attempt(lambda: os.kill(PID, 0) is None),
    attempt(lambda: socket.socket(socket.AF_UNIX)),
    attempt(lambda: os.chmod(FILE, 0o600) is None),
    attempt(lambda: ctypes.CDLL(None).inotify_init1(0) >= 0),
    attempt(lambda: open('own', 'w').write('x')),
])
"""


def found(calls: list[str], tmp_path: Path) -> tuple[list[str], str]:
    """(what is missing, what the code could do) where the system refuses `calls`."""
    file = tmp_path / "theirs"
    file.write_text("secret")
    given = json.dumps([calls, str(file), READS])
    command = [sys.executable, "-c", REFUSING, given]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    missing, output = json.loads(done.stdout)
    return missing, output.strip()


needs_landlock = pytest.mark.skipif(
    not sys.platform.startswith("linux") or landlock.version() < landlock.SIGNALS, reason="needs Landlock 6"
)


@needs_landlock
def test_without_namespaces_landlock_and_seccomp_are_enough(tmp_path: Path) -> None:
    assert found(["unshare"], tmp_path) == ([], "[False, False, False, False, False, False, True]")


@needs_landlock
def test_what_is_missing_is_said_and_the_rest_still_holds(tmp_path: Path) -> None:
    missing, output = found(["unshare", "landlock"], tmp_path)
    assert missing == ["files", "other processes"]
    assert output.endswith("False, False, False, True]")  # no Unix socket, no changed mode, no watch; its own folder


def test_required_isolation_that_cannot_be_had_is_one_line_that_says_how_to_waive_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runner, "_surroundings", lambda: (False, ("files", "other processes")))
    with pytest.raises(
        UsageError, match=r"from files nor from other processes .*set isolation to best_effort"
    ) as error:
        CodeReward(allow_execution=True)
    assert "\n" not in str(error.value)
    CodeReward(allow_execution=True, isolation="best_effort")
    with pytest.raises(UsageError, match="CodeReward isolation is 'none': give required or best_effort"):
        CodeReward(allow_execution=True, isolation="none")  # type: ignore[arg-type]


def test_nothing_runs_where_required_isolation_is_lost_on_the_way(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if missing_isolation():
        pytest.skip("this system does not isolate")
    monkeypatch.setattr(runner, "_surroundings", lambda: (True, ()))
    program = runner._CHILD.read_text(encoding="utf-8").replace("Path(__file__).parents[3]", repr(str(ROOT)))
    changed = tmp_path / "child.py"
    monkeypatch.setattr(runner, "_CHILD", changed)
    for restrict, output in (("files = landlock.restrict(", "1\n"), ("files = not (", "")):
        changed.write_text(program.replace("files = landlock.restrict(", restrict), encoding="utf-8")
        assert runner.execute("print(1)", [], "", 20.0, runner.Limits()).output == output
