"""Cases tried by forks of a process that has imported everything: a tenth of the time, which is the imports'."""

from __future__ import annotations

import os
import resource
import sys
import traceback
from importlib import import_module
from pathlib import Path

from faults.wrong import ENVIRONMENT, Case, run, words_of

MODULES = ("mentor_pl.cli.lightning", "mentor_pl.cli.functions", "mentor_pl.training.module", "mentor_pl.training.data")


class Warm:
    """Runs cases; what a cold start costs is measured once and added to each case's processor time."""

    def __init__(self, folder: Path) -> None:
        os.environ.update(ENVIRONMENT)
        for module in MODULES:
            import_module(module)
        cold = Case("start", "fit --print_config", "")
        folder.mkdir()
        (folder / "base.yaml").write_text("model: {policy: a}\ndata: {train: b}\n")
        self.start_seconds = run(cold, folder)[2]

    def run(self, case: Case, folder: Path) -> tuple[int, str, float]:
        """As `wrong.run`."""
        if case.command.startswith("scripts/"):
            return run(case, folder)
        errors = folder.parent / f"{folder.name}.stderr"
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            self._become(case, folder, errors)
        _, status, usage = os.wait4(child, 0)
        seconds = self.start_seconds + usage.ru_utime + usage.ru_stime
        return os.waitstatus_to_exitcode(status), errors.read_text(encoding="utf-8", errors="replace"), seconds

    def _become(self, case: Case, folder: Path, errors: Path) -> None:
        """Be the process of a case, to its end."""
        status = 1
        try:
            os.chdir(folder)
            os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
            status = import_module("mentor_pl.cli.main").main(words_of(case)[3:])
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
