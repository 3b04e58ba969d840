"""The exceptions that the command line prints as one line, without a traceback."""


class UsageError(ValueError):
    """A setting, file or model that cannot work as given; the message names the value, the rule and the remedy."""


class DivergenceError(RuntimeError):
    """A loss or gradient that is no number; the message holds the step's statistics."""
