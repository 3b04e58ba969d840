"""Noise is left unsaid while a command runs; a Python user's own filters are as they were afterwards."""

import logging
import warnings

import pytest
from transformers.utils import logging as transformers_logging

from mentor_pl.cli import lightning
from mentor_pl.cli.quiet import quiet
from mentor_pl.runtime.errors import UsageError

LOGGER = logging.getLogger("lightning.pytorch.utilities.rank_zero")
NOISE = "The 'train_dataloader' does not have many workers which may be a bottleneck"


def filters():
    return [*warnings.filters], [*LOGGER.filters], transformers_logging.is_progress_bar_enabled()


def test_noise_is_left_unsaid_and_the_rest_is_not(caplog):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with quiet():
            for text in (NOISE, "a first line\nTip: buy", "the disk is full"):
                warnings.warn(text, stacklevel=1)
                LOGGER.warning(text)
            assert not transformers_logging.is_progress_bar_enabled()
    assert [str(one.message) for one in caught] == caplog.messages == ["the disk is full"]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_every_filter_is_as_it_was_however_it_ends(error):
    before = filters()
    try:
        with quiet():
            assert filters() != before
            if error:
                raise error
    except KeyboardInterrupt:
        pass
    assert filters() == before


def test_a_command_leaves_the_process_as_it_found_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = filters()
    with pytest.raises(UsageError, match="no such file"):
        lightning.run(["fit", "--config", "nope.yaml"])
    assert filters() == before
