"""What libraries say on every run and no user can act on, left unsaid while a command runs. All else is shown."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

_NOISE = (
    "does not have many workers",
    "litlogger",
    "Tip:",
    "isinstance(treespec, LeafSpec)",
    "The number of training batches",
    "no pre-optimization state was saved",  # the state after the step is the one to resume from
    "The dirpath has changed",  # a resumed run has a folder of its own
    "exists and is not empty",  # or goes on in its own
    "when logging on epoch level in distributed setting",  # benchmarks are summed over ranks before
    "have no `val_dataloader`",  # while training, a callback measures
)


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, the noise is neither warned of nor logged; afterwards all filters are as they were."""
    logger, bars = logging.getLogger("lightning.pytorch.utilities.rank_zero"), transformers_logging
    had_bars = bars.is_progress_bar_enabled()
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.filterwarnings("ignore", category=DeprecationWarning)
        for library in ("torch", "jsonargparse", "lightning", "transformers"):
            warnings.filterwarnings("ignore", category=FutureWarning, module=library)
        for text in _NOISE:
            warnings.filterwarnings("ignore", message=f"(?s).*{re.escape(text)}")
        logger.addFilter(_worth_saying)
        if not sys.stderr.isatty():  # a bar in a log file is a thousand lines
            bars.disable_progress_bar()
        try:
            yield
        finally:
            logger.removeFilter(_worth_saying)
            if had_bars:
                bars.enable_progress_bar()


@contextmanager
def hushed(*names: str) -> Iterator[None]:
    """Let these loggers say no more than warnings."""
    loggers = [logging.getLogger(name) for name in names]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _worth_saying(record: logging.LogRecord) -> bool:
    return not any(text in record.getMessage() for text in _NOISE)
