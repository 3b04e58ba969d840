"""What a library says of a setting is one line; a bug of this project keeps its traceback."""

import pytest
import torch
from lightning.pytorch import Callback

from mentor_pl.cli.errors import blame
from mentor_pl.runtime.errors import UsageError

LIBRARY = """
class Logger:
    def __init__(self, url):
        self.url = url
        self.connect()

    def connect(self):
        raise self.url
"""


def raised(error, module):
    """`error` as it comes out of the constructor of a class of `module`."""
    space = {"__name__": module}
    exec(LIBRARY, space)
    with pytest.raises(type(error)) as caught:
        space["Logger"](error)
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no such url"), "Logger cannot be made: no such url: mend its settings or leave it out"),
        (
            ModuleNotFoundError("No module named 'mlflow'"),
            "cannot be made: ModuleNotFoundError No module named 'mlflow'",
        ),
        (RuntimeError(), "Logger cannot be made: RuntimeError: mend"),
    ],
)
def test_what_a_library_raises_names_its_class(error, words):
    assert words in blame.refusal_of_settings(raised(error, "somewhere.else"))


def test_what_our_own_code_raises_is_a_bug():
    assert blame.refusal_of_settings(raised(ValueError("a bug"), "mentor_pl.training.module")) is None
    assert blame.refusal_of_settings(raised(KeyError("x"), "callbacks.mine")) is None


def test_our_own_refusal_stands_however_it_is_wrapped():
    outer = ValueError("does not validate against any of the types")
    outer.__cause__ = raised(UsageError("gate p is 7"), "mentor_pl.algorithms.parts.gates")
    assert blame.refusal_of_settings(outer) == "gate p is 7"


def test_a_refusal_of_the_system_names_the_file_and_one_without_a_file_is_no_mistake():
    assert blame.refusal_of_system(NotADirectoryError(20, "Not a directory", "runs/x")).startswith(
        "runs/x: Not a directory: name another file or folder"
    )
    assert blame.refusal_of_system(OSError(32, "Broken pipe")) is None


def test_the_end_of_the_process_is_named_by_its_place_where_the_parser_did_not_ask_for_it():
    own = raised(SystemExit(0), "somewhere.else")
    assert blame.refusal_of_exit(own).endswith(
        ": ends the process (SystemExit 0): let it raise an error, or leave out what it belongs to"
    )
    assert blame.refusal_of_exit(raised(SystemExit(0), "jsonargparse._core")) is None


@pytest.mark.parametrize(("at", "named"), [("somewhere.else", True), ("mentor_pl.training.module", False)])
def test_a_callback_of_lightnings_that_fails_is_named_unless_the_fault_is_ours(at, named):
    class Finder(Callback):
        def on_fit_start(self, trainer, module):
            raised_in = {"__name__": at}
            exec("def look():\n    raise AttributeError('no lr')", raised_in)
            raised_in["look"]()

    Finder.__module__ = "lightning.pytorch.callbacks.finder"
    with pytest.raises(AttributeError) as caught:
        Finder().on_fit_start(None, None)
    said = blame.refusal_of_callback(caught.value)
    assert (said or "").startswith("trainer.callbacks: Finder fails here: AttributeError no lr: leave it out") is named


def test_a_rank_that_has_gone_is_not_the_fault_of_the_callback_that_waits_for_it():
    class Keeper(Callback):
        def on_train_batch_end(self, *_):
            torch.distributed.all_reduce(torch.zeros(1))  # there is no group to reduce over, as none is left

    Keeper.__module__ = "lightning.pytorch.callbacks.keeper"
    with pytest.raises(ValueError, match="process group") as caught:
        Keeper().on_train_batch_end()
    assert blame.refusal_of_callback(caught.value) is None
