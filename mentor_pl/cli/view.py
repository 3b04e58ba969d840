"""`mentor view`: the recorded rollouts of a run, token by token, as one page for a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mentor_pl.records.page.build import write_page
from mentor_pl.runtime.printable import printable
from mentor_pl.runtime.ranges import check

_MEGABYTE = 1_000_000


def view(
    run: Path,
    beside: Path | None = None,
    out: Path | None = None,
    steps: Sequence[int] = (),
    rollouts: int = 1000,
    megabytes: float = 20,
) -> None:
    """Write what a run's rollouts said, token by token, into one page, and print where it is: `mentor view RUN [RUN2]`.

    The run has to have been trained with callbacks.RolloutRecord. The page is one file of HTML: it opens from disk in
    any browser, needs no server and no network, and can be sent on. In it one picks step, prompt and rollout, colours
    tokens by entropy, w, guidance, replacement or advantage, sees the distributions of policy, expert and mixture at a
    token, and moves a slider to see which tokens another threshold γ_p would have guided. `?` on the page lists its
    keys. A file of the run that is damaged is passed over and named.

    Args:
        run: the run's folder, such as runs/quickstart/version_0; it may stand first without its name.
        beside: a second run, whose rollouts of the same step and prompt are shown beside the first's; it may stand
            second without its name.
        out: the file; by default view.html in the run's folder.
        steps: recorded steps to show, given several times; by default as many as there is room for, evenly spaced, the
            first and the last among them.
        rollouts: of a step at most, in whole groups.
        megabytes: that the file may take. What has no room is left out, and page and command say so.

    Raises:
        UsageError: for a run without records that can be read, a step that is not recorded, or a file that cannot be
            written.
    """
    check("--rollouts", rollouts, at_least=1)
    check("--megabytes", megabytes, at_least=0.5, at_most=500, because="browsers hold no more, and less holds no step")
    out = out if out is not None else run / "view.html"
    runs = [run] if beside is None else [run, beside]
    for shown in write_page(runs, out, steps, rollouts, int(megabytes * _MEGABYTE)):
        for line in shown.passed_over.values():
            print(printable(f"passed over: {line}"))
        missing = shown.left_out()
        what = f"left out: {missing}" if missing else f"all {len(shown.recorded)} recorded steps"
        print(printable(f"{shown.run}: {what}"))
    print(printable(str(out.absolute())))
