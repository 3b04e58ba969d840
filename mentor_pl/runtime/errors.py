"""The exceptions that the command line prints as one line, without a traceback."""


class UsageError(ValueError):
    """A setting, file or model that cannot work as given; the message names the value, the rule and the remedy."""


class RunError(RuntimeError):
    """What ends a run though its settings were right; the message says what is kept and how to go on."""


class DivergenceError(RunError):
    """Losses or gradients that are no numbers, again and again; the message holds the step's statistics."""


class StorageError(RunError):
    """A disk that is full or refuses to be written to."""
