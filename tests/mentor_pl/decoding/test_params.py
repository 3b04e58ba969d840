"""Settings of sampling that cannot work are refused."""

import math

import pytest

from mentor_pl.decoding.params import SamplingParams
from mentor_pl.runtime.errors import UsageError


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"temperature": 1e-300},
        {"top_p": 1e-300},
        {"top_k": 10**20},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"max_new_tokens": 0},
    ],
    ids=str,
)
def test_a_value_out_of_range_is_a_usage_error_that_names_it(options):
    ((name, value),) = options.items()
    with pytest.raises(UsageError, match=f"{name} is {value}"):
        SamplingParams(**options)
