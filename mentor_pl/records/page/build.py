"""One file of HTML with a run's records, our code and our styles in it, and nothing that it would have to fetch.

The page's policy lets no script run but ours, by its hash, and nothing be loaded from anywhere. Text of models is in it
as letters of base64, and the script puts it in as text alone.
"""

from __future__ import annotations

import base64
import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mentor_pl import __version__
from mentor_pl.records.page.embed import Embedded, embed
from mentor_pl.records.page.pack import pack
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.whole_files import whole_file

HERE: Final = Path(__file__).parent
# in the order in which they need one another
SCRIPTS: Final = (
    "unpack", "step", "text", "dom", "scales", "state", "threshold", "selection", "theme", "tokens", "facts", "legend",
    "slider", "filters", "rollouts", "rollout", "pairs", "map", "map_drawing", "lines", "curves", "later", "overview",
    "header", "navigation", "help", "main",
)  # fmt: skip
STYLES: Final = ("colours", "page", "controls", "rollouts", "tokens", "facts", "pictures", "later")


def write_page(runs: Sequence[Path], out: Path, steps: Sequence[int], rollouts: int, size: int) -> list[Embedded]:
    """Write the page of a run, or of two beside each other.

    Args:
        runs: folders, one or two.
        out: the file.
        steps: those to embed; of none as many as there is room for.
        rollouts: of a step at most.
        size: bytes that the file may take.

    Returns:
        what of each run the page has.

    Raises:
        UsageError: for a run whose records cannot be shown, or a file that cannot be written.
    """
    found = embed(runs, steps, rollouts, max(1, size - _own_size()))
    text = _render(found)
    try:
        with whole_file(out) as file:
            file.write(text.encode("utf-8", "xmlcharrefreplace"))  # a folder's name may be no text
    except OSError as problem:
        raise UsageError(
            f"{out}: the page cannot be written ({problem.strerror}): name another file by --out"
        ) from None
    return found


def _render(runs: Sequence[Embedded]) -> str:
    script = f'(() => {{\n"use strict";\n{_joined("script", SCRIPTS, "js")}}})();\n'
    style = _joined("style", STYLES, "css")
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html.j2").render(
        title=" and ".join(_name(one.run) for one in runs),
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
        version=__version__,
        index=pack({"runs": [_told(one) for one in runs]}, {}),
        steps=[(place, step, one.letters) for place, run in enumerate(runs) for step, one in run.steps.items()],
    )


def _told(one: Embedded) -> dict[str, Any]:
    return {
        "name": _name(one.run),
        "folder": str(one.run),
        "recorded": list(one.recorded),
        "steps": list(one.steps),
        "left_out": one.left_out(),
        "curves": one.curves,
        "fork": f"mentor fork {shlex.quote(str(one.run))}",
        **one.findings.of_run(),
    }


def _name(run: Path) -> str:
    """The last two parts of a run's folder, which Lightning names by run and version."""
    return "/".join(run.absolute().parts[-2:])


def _joined(folder: str, names: Sequence[str], suffix: str) -> str:
    """Our files of one kind as one text that may stand in its element."""
    return "\n".join((HERE / folder / f"{name}.{suffix}").read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _own_size() -> int:
    """Bytes of a page without records, and room for its curves."""
    return len(_joined("script", SCRIPTS, "js")) + len(_joined("style", STYLES, "css")) + 100_000
