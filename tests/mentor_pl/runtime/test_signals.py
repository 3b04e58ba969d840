import os
import signal
import subprocess
import sys

import pytest

from mentor_pl.runtime import signals
from mentor_pl.runtime.collectives import together
from mentor_pl.runtime.signals import Stopped


def send(name: str) -> None:
    os.kill(os.getpid(), signal.Signals[name])


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_where_nothing_can_be_lost_a_signal_ends_things_at_once(name):
    with pytest.raises(Stopped, match=name) as stopped, signals.installed():
        send(name)
    assert stopped.value.signum == signal.Signals[name]


def test_with_care_it_is_noted_until_someone_asks(capfd):
    with signals.installed():
        signals.be_careful()
        signals.check()
        send("SIGTERM")
        with pytest.raises(Stopped):
            signals.check()
        with pytest.raises(Stopped):
            together(lambda: 1)
        with pytest.raises(Stopped):
            signals.be_careless()
    assert "mentor: SIGTERM: saving what is complete; again to end at once" in capfd.readouterr().err


def test_work_that_ends_while_a_signal_comes_is_given_up(capfd):
    with signals.installed():
        signals.be_careful()
        assert together(lambda: 3) == 3
        with pytest.raises(Stopped):
            together(lambda: send("SIGINT"))


def test_handlers_are_put_back_and_without_them_care_changes_nothing():
    before = signal.getsignal(signal.SIGTERM)
    with signals.installed():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    signals.be_careful()
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_second_signal_ends_the_process_at_once():
    program = (
        "import os, signal\nfrom mentor_pl.runtime import signals\n"
        "with signals.installed():\n    signals.be_careful()\n"
        "    for _ in range(2):\n        os.kill(os.getpid(), signal.SIGTERM)\n    print('still here')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (143, "")


def test_a_signal_is_passed_on_to_further_ranks_and_a_second_kills_them(capfd):
    class Child:
        def __init__(self):
            self.got = []

        def send_signal(self, signum):
            self.got.append(signum)

    child = Child()
    with signals.installed():
        signals.pass_on(lambda: [child])
        signals.be_careful()
        send("SIGINT")
    assert child.got == [signal.SIGINT]


def test_a_further_rank_leaves_repetitions_to_its_parent(monkeypatch):
    """The terminal sends to all processes, and rank 0 passes on what it got: that is one signal, not two."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    with signals.installed():
        signals.be_careful()
        send("SIGINT")
        send("SIGINT")
        with pytest.raises(Stopped):
            signals.check()


@pytest.mark.parametrize(("careful", "count"), [(False, 1), (True, 2)], ids=["nothing to lose", "a second signal"])
def test_the_end_comes_also_where_pythons_handlers_do_not(careful, count):
    """They wait for a main thread in C++, such as that of a rank that waits for others."""
    program = (
        "import signal, threading\nfrom mentor_pl.runtime import signals\nsignals.PATIENCE = 0.01\n"
        f"with signals.installed():\n    if {careful}:\n        signals.be_careful()\n"
        "    signal.signal(signal.SIGTERM, lambda *_: None)\n"
        f"    for _ in range({count}):\n        signal.raise_signal(signal.SIGTERM)\n"
        "    threading.Event().wait(30)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.strip()) == (143, "mentor: SIGTERM: ended at once")


def test_a_further_rank_that_alone_was_asked_to_stop_tells_its_parent(monkeypatch):
    sent = []
    monkeypatch.setattr(os, "kill", lambda *signal_to: sent.append(signal_to))
    with pytest.raises(Stopped) as stopped, signals.installed():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.alone
    signals.tell_parent(signal.SIGTERM, patience=-1)
    assert sent == [(os.getppid(), signal.SIGTERM)]
    monkeypatch.setattr(os, "getppid", lambda: 1)  # it has left, so pid 1 is none of ours
    signals.tell_parent(signal.SIGTERM)
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"RANK": "1", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "3"}, False),
        ({"LOCAL_RANK": "1"}, False),
    ],
)
def test_one_rank_speaks_for_all(environment, first, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert signals.is_first() == first
