"""What the command line prints as one line is caught by the built-in kinds too."""

import pytest

from mentor_pl.runtime.errors import DivergenceError, UsageError


@pytest.mark.parametrize(
    ("kind", "builtin", "other"), [(UsageError, ValueError, RuntimeError), (DivergenceError, RuntimeError, ValueError)]
)
def test_a_users_mistake_is_a_value_error_and_divergence_is_not(kind, builtin, other):
    assert issubclass(kind, builtin)
    assert not issubclass(kind, other)
