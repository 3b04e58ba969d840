"""Whose fault an exception is: a setting's, which is one line, or a bug's of this project, which keeps its traceback.

Where a class that the configuration names is made, whatever a library raises is about what it was given. So is, at any
time, what the operating system refuses of a file or folder by name, what a callback of Lightning's raises, and the
end of the process where something that is configured asks for it.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from types import FrameType

from mentor_pl.runtime.errors import UsageError

SHOW = "MENTOR_TRACEBACK"  # an environment variable that shows the traceback of a refusal, too
_OURS = ("mentor_pl.", "callbacks.")


def refusal_of_settings(error: BaseException) -> str | None:
    """What to say where making the classes of a configuration ended in `error`; None for a bug of ours."""
    from lightning.fabric.utilities.exceptions import MisconfigurationException  # heavy, and not every command has it

    for cause in _causes(error):
        # Behind an optional type, jsonargparse wraps what a constructor raises into a ValueError about the type.
        if isinstance(cause, UsageError | MisconfigurationException):
            return str(cause)
    *_, origin = _causes(error)
    frames = list(traceback.walk_tb(origin.__traceback__))
    if not frames or _module(frames[-1][0]).startswith(_OURS):
        return None
    made = [frame.f_locals.get("self") for frame, _ in frames if frame.f_code.co_name == "__init__"]
    name = next((type(one).__name__ for one in made if one is not None and not _is_plumbing(one)), "what is configured")
    return f"{name} cannot be made: {_words(origin)}: mend its settings or leave it out ({SHOW}=1 shows where)"


def refusal_of_callback(error: Exception) -> str | None:
    """What to say where a callback of Lightning's cannot do here what it is for; None where none is at fault."""
    from lightning.pytorch import Callback

    frames = list(traceback.walk_tb(error.__traceback__))
    elsewhere = (*_OURS, "torch.distributed.")  # a bug of ours, or another rank that has failed
    if not frames or _module(frames[-1][0]).startswith(elsewhere):
        return None
    callbacks = (one for frame, _ in frames if isinstance(one := frame.f_locals.get("self"), Callback))
    name = next((type(one).__name__ for one in callbacks if type(one).__module__.startswith("lightning.")), None)
    if name is None:
        return None
    return f"trainer.callbacks: {name} fails here: {_words(error)}: leave it out ({SHOW}=1 shows where)"


def refusal_of_exit(end: SystemExit) -> str | None:
    """What to say where something that is configured ended the process; None where the parser did, as for --help."""
    frames = list(traceback.walk_tb(end.__traceback__))
    while len(frames) > 1 and frames[-1][0].f_code.co_name == "exit":  # put around sys.exit by a library, as W&B does
        frames.pop()
    frame, line = frames[-1]
    if _module(frame).startswith(("argparse", "jsonargparse", "lightning.", *_OURS)):
        return None
    place = f"{frame.f_code.co_filename}:{line}"
    return f"{place}: ends the process (SystemExit {end.code}): let it raise an error, or leave out what it belongs to"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def refusal_of_system(error: OSError) -> str | None:
    """What to say where the system refused a file or folder; None where it names none."""
    if error.filename is None:
        return None
    return f"{error.filename}: {error.strerror}: name another file or folder, or mend this one ({SHOW}=1 shows where)"


def _words(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return text if isinstance(error, ValueError | TypeError) and text else f"{type(error).__name__} {text}".strip()


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _is_plumbing(one: object) -> bool:
    """Whether an object is of the command line itself, through which every class is made."""
    return type(one).__module__.startswith(("mentor_pl.cli", "jsonargparse", "lightning.pytorch.cli"))
