"""Files beside a run that cannot be written: said once, and the run goes on."""

from __future__ import annotations

from types import TracebackType

from lightning.pytorch.utilities import rank_zero_warn


class FailingWrites:
    """A context in which an `OSError` is passed over; the first one is named.

    Args:
        writer: the callback that writes, as a user names it.
        lost: what is lost, such as "steps without a record are lost to it".
    """

    def __init__(self, writer: str, lost: str) -> None:
        self.writer, self.lost, self.named = writer, lost, False

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, OSError):
            return False
        if not self.named:
            self.named = True
            rank_zero_warn(
                f"{self.writer} cannot write to {error.filename or 'the disk'} ({error.strerror or error}): the run "
                f"goes on, and {self.lost}; further failures are not named"
            )
        return True
