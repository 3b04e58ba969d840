"""`mentor doctor`: a configuration of `mentor fit` examined in seconds, before any weights are loaded."""

from __future__ import annotations

import time
from collections.abc import Callable

from mentor_pl.cli.doctor.report import Finding, Report, problem, warning
from mentor_pl.cli.quiet import hushed, quiet
from mentor_pl.runtime.errors import UsageError

HELP = """\
usage: mentor doctor --config FILE [--config FILE ...] [--KEY VALUE ...]

Examine a configuration of `mentor fit` before any weights are loaded: models against one another, problems, the
reward on ten of them, memory, disks and what lies in the run folder. Put `doctor` in place of `fit`; files and options
are the same, and `mentor fit --help` lists them.

Exit status: 0 where there is no problem, 1 where there is one, 2 for settings that fit refuses as well.
"""


def run(args: list[str]) -> int:
    """Examine the configuration that the arguments give; the exit status."""
    if not args or {"-h", "--help"} & set(args):
        print(HELP, end="")
        return 0
    started = time.perf_counter()
    import lightning.pytorch  # noqa: F401 (it sets the levels of its loggers, which are then hushed)

    with quiet(), hushed("lightning.pytorch", "lightning.fabric"):  # seeds and devices are told here
        from mentor_pl.cli.doctor import data, disk, machine, memory, pairing, rewards, text_guidance
        from mentor_pl.cli.doctor.configuration import read

        configuration, report = read(args), Report()
        # the order matters: the pairing finds the tokenizer, with which data are read, whose prompts are graded
        for title, examine in (
            ("Machine", machine.examine),
            ("Policy and expert", pairing.examine),
            ("Data", data.examine),
            ("Guidance by text", text_guidance.examine),
            ("Reward", rewards.examine),
            ("Memory", memory.examine),
            ("Disks and loggers", disk.examine),
        ):
            findings = _guarded(lambda examine=examine: examine(configuration))  # type: ignore[misc]
            if findings:
                report.group(title, findings)
        return report.close(time.perf_counter() - started)


def _guarded(examine: Callable[[], list[Finding]]) -> list[Finding]:
    """The findings; a group that fails does not hide the others."""
    try:
        return examine()
    except UsageError as error:
        return [problem(" ".join(str(error).split()))]
    except Exception as error:  # what the doctor itself cannot do with a model or a class of someone's own
        return [warning(f"not examined: {type(error).__name__}: {' '.join(str(error).split())[:300]}")]
