"""Labels of a response by the form of its task: a generator that says of each position whether it is a decision.

It yields the label of a position, is sent the word that stands there, and returns where that word leaves the form.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

Form = Generator[bool, str, bool]  # what it returns: whether the last word was in the form


def labels_by(form: Form, words: Sequence[str]) -> list[bool | None]:
    """The label of every word; None behind the one that leaves the form."""
    found, label = list[bool | None](), next(form, None)
    for word in words:
        found.append(label)
        if label is not None:
            try:
                label = form.send(word)
            except StopIteration:
                label = None
    return found
