"""One future from several: for rewards that wait for workers, or for one another."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def combine(futures: Sequence[Future[Given]], blend: Callable[[Sequence[Given]], Made]) -> Future[Made]:
    """`blend` of all results (at least one) once the last is there, or the first error among them."""
    combined: Future[Made] = Future()
    lock = threading.Lock()
    left = [len(futures)]

    def arrived(_: Future[Given]) -> None:
        with lock:
            left[0] -= 1
            if left[0]:
                return
        try:
            combined.set_result(blend([future.result() for future in futures]))
        except (Exception, SystemExit) as error:
            combined.set_exception(error)

    for future in futures:
        future.add_done_callback(arrived)
    return combined
