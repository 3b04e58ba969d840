"""The end of a process in which a thread may never end.

Python waits for every thread that is not a daemon before it ends, a thread that hangs in a network included.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading

_hung = threading.Event()


def give_up_threads() -> None:
    """Say that nobody waits any more for what some thread of this process is at."""
    _hung.set()


def leave(status: int) -> int:
    """The exit status, for `sys.exit`; the process ends here with it where it would wait for a thread given up."""
    others = set(threading.enumerate()) - {threading.main_thread()}
    if _hung.is_set() and not all(thread.daemon for thread in others):
        atexit._run_exitfuncs()
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status
