"""Which commit of this code is running."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

NONE = "none"


def commit(folder: Path = Path(__file__).parents[2]) -> str:
    """The commit of the checkout that a folder is of, `<hash> with changes` where tracked files differ from it.

    Returns:
        `none` where the folder's files are not under version control, as those of an installed package, or there is no
        git.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return NONE
    head, changes = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "--untracked-files=no")
    if head is None or changes is None:
        return NONE
    return f"{head} with changes" if changes else head


def _git(folder: Path, *words: str) -> str | None:
    """What git says; none where it fails."""
    # A hook's GIT_DIR is of another checkout, and no lock of the user's own git is to be in our way.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment["GIT_OPTIONAL_LOCKS"] = "0"
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
