"""One run of untrusted code: what it may see and leave behind, and that its time is processor time."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mentor_pl.rewards.sandbox import runner
from mentor_pl.rewards.sandbox.runner import Limits, execute, missing_isolation

ADD = "def add(a, b):\n    return a + b\n"
ADDED = ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]


def test_code_sees_an_empty_environment_and_its_folder_is_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import os, sys\nopen('kept', 'w').write('x')\nos.mkdir('d')\nos.chmod('d', 0)\n"
    code += "print(dict(os.environ), sys.path)"
    done = execute(code, [], "", 20.0, Limits(), required=False)
    assert done.finished
    assert "secret" not in done.output
    assert "site-packages" not in done.output
    assert list(tmp_path.iterdir()) == []


def test_code_has_no_network_and_sees_no_other_process_where_the_system_allows_it() -> None:
    if missing_isolation():
        pytest.skip("this system does not isolate")
    code = (
        "import os, socket\n"
        "print(os.getppid(), [name for _, name in socket.if_nameindex() if name != 'lo'])\n"
        "server = socket.socket()\nserver.bind(('127.0.0.1', 0))"
        "\nserver.listen()\nsocket.create_connection(server.getsockname(), 1)"
    )
    done = execute(code, [], "", 20.0, Limits(), required=False)
    assert (done.finished, done.output) == (False, "1 []\n")


def test_what_the_code_leaves_running_ends_with_it() -> None:
    if missing_isolation():
        pytest.skip("this system does not isolate")
    code = "import os, time\nif os.fork() == 0:\n    os.execv('/bin/sleep', ['mentor-orphan', '999'])\n"
    assert execute(code + ADD, ADDED, "", 20.0, Limits()).passed == [True, True]
    names = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert not [name for name in names if b"mentor-orphan" in name]


PARENT = """
import subprocess
from mentor_pl.rewards.sandbox.runner import Limits, execute

class Told(subprocess.Popen):
    def __init__(self, *args, **settings):
        super().__init__(*args, **settings)
        print(self.pid, flush=True)

subprocess.Popen = Told
execute("while True: pass", [], "", 600.0, Limits(), required=False)
"""


def test_runs_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells a process of its parent's death")
    root = Path(__file__).parents[4]
    own = os.environ | {"TMPDIR": str(tmp_path)}  # the run's folder stays behind, as nobody is left to remove it
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=root, env=own, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    handle = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    ready, _, _ = select.select([handle], [], [], 20)
    os.close(handle)
    assert ready, "the code still runs"


def test_a_verdict_nested_too_deep_to_read_earns_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def child(*_: Any) -> runner._Done:
        return runner._Done(0, b"[" * 1_000_000, "", 0.0)

    monkeypatch.setattr("mentor_pl.rewards.sandbox.runner._child", child)
    assert not execute("", ["pass"], "", 1.0, Limits()).finished


class Process:
    """A run that ends at its third look; a fake clock goes on by what is waited, times the machine's load."""

    pid = 7

    def __init__(self, load: float) -> None:
        self.load, self.clock, self.looks = load, 100.0, 0

    def wait(self, timeout: float) -> None:
        self.clock += timeout
        self.looks += 1
        if self.looks < 3:
            raise subprocess.TimeoutExpired("code", timeout)

    def spent(self, session: int) -> float:
        return (self.clock - 100) / self.load


@pytest.mark.parametrize(("load", "in_time"), [(1.0, False), (15.0, True), (100.0, True)])
def test_code_that_a_busy_machine_kept_waiting_has_the_rest_of_its_time(
    load: float, in_time: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    process: Any = Process(load)
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: process.clock))
    monkeypatch.setattr(runner, "session_seconds", process.spent)
    assert runner._ended_in_time(process, 10.0) is in_time


@pytest.mark.parametrize("seconds", [0.98, 1.0, 2.5])
def test_who_is_ended_by_its_own_limit_has_had_its_time_by_any_measure(seconds: float) -> None:
    """The kernel counts it in ticks, and what is told of a process afterwards may be some less."""
    code = "import resource\nprint(*resource.getrlimit(resource.RLIMIT_CPU))"
    soft, hard = map(int, execute(code, [], "", seconds, Limits(), required=False).output.split())
    assert min(soft, hard) >= seconds + 1


def test_a_run_tells_the_processor_time_of_all_its_processes() -> None:
    burn = "import os\nif os.fork() == 0:\n    while sum(os.times()[:2]) < 0.3: pass\n    os._exit(0)\nos.wait()\n"
    done = execute(burn, [], "", 20.0, Limits(), required=False)
    assert done.finished
    assert 0.3 <= done.seconds < 5
    assert execute("while True: pass", [], "", 0.1, Limits(), required=False).seconds == 0.1
