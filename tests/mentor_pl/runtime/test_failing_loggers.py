"""A logger that fails is named, once, and passed over."""

import pytest
from lightning.pytorch.loggers import CSVLogger

from mentor_pl.runtime.failing_loggers import forgive


@pytest.mark.filterwarnings("ignore:logger")
def test_an_experiment_that_cannot_be_begun_is_asked_for_once_and_named_once(tmp_path, recwarn):
    class Away(CSVLogger):
        asked = 0

        @property
        def experiment(self):
            Away.asked += 1
            raise ConnectionError("no network")

    logger = Away(tmp_path)
    for _ in range(2):
        forgive([logger])
        logger.log_metrics({"a": 1.0}, step=1)
        logger.save()
    assert Away.asked == 1 and isinstance(logger, Away)
    said = [str(one.message) for one in recwarn if "Away" in str(one.message)]
    assert len(said) == 1 and "failed in experiment (no network)" in said[0]
