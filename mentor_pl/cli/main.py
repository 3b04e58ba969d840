"""The `mentor` command: finds the sub-command, runs it, and turns a user's mistake into one line and exit status 2.

Light on purpose: nothing heavy is imported before it is known what to run, so `mentor --help` answers at once.
A sub-command of one's own is one line in `COMMANDS`: its words, and the function whose signature is its interface.
"""

from __future__ import annotations

import difflib
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from io import TextIOWrapper

from mentor_pl import __version__
from mentor_pl.runtime import signals
from mentor_pl.runtime.errors import RunError, UsageError
from mentor_pl.runtime.leaving import leave
from mentor_pl.runtime.printable import printable

TRAINER_COMMANDS = {
    "fit": "train a policy",
    "validate": "measure a policy on the benchmarks of a configuration; --ckpt_path takes it from a checkpoint",
    "test": "likewise, as Lightning's test stage",
    "doctor": "examine a configuration of fit before anything is loaded: models, memory, reward, data, disks",
}

# words -> (what it does, "module:function"); the function's parameters and docstring become options and help
COMMANDS = {
    "testbed build": (
        "make the embedded testbed, the maze: problems, base and expert",
        "mentor_pl.testbed.maze.build:build",
    ),
    "testbed family": ("make many bases and experts of the maze, with dials", "mentor_pl.testbed.maze.build:family"),
    "testbed gym": ("make a testbed of a task of reasoning-gym", "mentor_pl.testbed.gym.build:gym"),
    "testbed path_star": (
        "make another testbed: path-star, one decision per answer",
        "mentor_pl.testbed.path_star.build:path_star",
    ),
    "experiment": (
        "run a design of methods, settings and seeds, and report what it shows",
        "mentor_pl.cli.experiment:experiment",
    ),
    "gate_truth": (
        "judge entropy and divergence from an expert as detectors of the tokens that decide",
        "mentor_pl.experiments.tokens.gate_truth:gate_truth",
    ),
    "token_importance": (
        "measure how much the choice at a token matters, by drawing it anew and rolling out",
        "mentor_pl.experiments.tokens.token_importance:token_importance",
    ),
    "view": ("show a run's recorded rollouts, token by token, as one page for a browser", "mentor_pl.cli.view:view"),
    "replay": (
        "run the update of a recorded step again, bit for bit, or beside another method's",
        "mentor_pl.cli.replay.replay:replay",
    ),
    "fork": (
        "measure what one replaced token was worth, by going on behind it and behind the policy's draft",
        "mentor_pl.cli.fork.fork:fork",
    ),
    "grade": ("grade predictions against golds, or samples of mentor validate anew", "mentor_pl.cli.grade:grade"),
    "expert sample": (
        "have any model answer problems, and keep its right responses as demonstrations to train on",
        "mentor_pl.cli.expert_sample:sample",
    ),
    "data inspect": (
        "show one prompt as the model sees it, and what was left out",
        "mentor_pl.cli.data_inspect:inspect",
    ),
}

# Options whose values can name a class.
_WITH_CLASSES = ("--config", "--trainer", "--model", "--data", "--reward", "--labels", "--problems", "--sampler")

HELP = """\
usage: mentor <command> [options]

Reinforcement learning of language models with selective expert guidance.

commands:
{commands}

options of fit, doctor, validate and test:
  --config FILE        settings in YAML; give several, later ones win
  --KEY VALUE          one setting by its dotted key, such as --model.algorithm.mixed 2; later ones win
  --KEY+ VALUE         appends to a list, as `callbacks+:` does in YAML
  --print_config       print the merged settings and exit
  --help               every setting; --model.help CLASS for those of one class

examples:
  mentor fit --config configs/quickstart.yaml
  mentor fit --config configs/quickstart.yaml --config configs/algorithms/grpo.yaml --seed_everything 2
  mentor validate --config configs/benchmarks.yaml --model.policy MODEL_FOLDER
  mentor testbed build --out data/testbed
  mentor experiment configs/experiments/smoke.yaml --dry
  mentor view runs/quickstart/version_0
  mentor expert sample --model MODEL_FOLDER --data math.jsonl --out data/demonstrations.jsonl

`mentor <command> --help` says more. `mentor --version` prints {version}.
"""


def help_text() -> str:
    """What `mentor --help` prints."""
    summaries = TRAINER_COMMANDS | {words: summary for words, (summary, _) in COMMANDS.items()}
    width = max(map(len, summaries)) + 2
    commands = "\n".join(f"  {words:<{width}} {summary}" for words, summary in summaries.items())
    return HELP.format(commands=commands, version=__version__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `mentor` with these arguments (by default the process's) and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal of ASCII is no reason to fail
    return leave(_status(argv))


def _status(argv: Sequence[str] | None) -> int:
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        _refuse_nowhere()
        with signals.installed():
            return _dispatch(args)
    except (UsageError, RunError) as error:
        if os.environ.get("MENTOR_TRACEBACK"):
            traceback.print_exc()
        if _speaks():
            print("mentor: error:", printable(" ".join(str(error).split())), file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except signals.Stopped as stopped:
        if signals.is_launched():
            if stopped.alone:
                signals.tell_parent(stopped.signum)
            return 0  # rank 0 has the status; one that fails would end it before it has said so
        if signals.is_first():
            print(f"mentor: {_farewell(stopped, args)}", file=sys.stderr)
        return 128 + stopped.signum


def _dispatch(args: list[str]) -> int:
    """Run the command and return the exit status of what has run to its end."""
    if not args or args[0] in ("-h", "--help", "help"):
        print(help_text(), end="")
    elif args[0] == "--version":
        print(f"mentor {__version__}")
    elif args[0] == "doctor":
        examine = import_module("mentor_pl.cli.doctor.examine").run
        _look_here(args)
        return int(examine(args[1:]))
    elif args[0] in TRAINER_COMMANDS:
        run = import_module("mentor_pl.cli.lightning").run
        _look_here(args)
        run(args)
    else:
        _run_function(args)
    return 0


def _refuse_nowhere() -> None:
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError("the current folder has been removed: change to one that is there") from None


def _look_here(args: list[str]) -> None:
    """Let classes that the user names be found in the current folder, behind all that is installed.

    Only where one may be named, and after the libraries have looked for what they can do without: the current folder
    may be a stranger's, such as one of samples.
    """
    if any(arg.startswith(_WITH_CLASSES) for arg in args) and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _run_function(args: list[str]) -> None:
    words = next((w for w in COMMANDS if args[: len(w.split())] == w.split()), None)
    if words is None:
        _unknown_command(args)
        return
    module, function = COMMANDS[words][1].split(":")
    target = getattr(import_module(module), function)
    run_function = import_module("mentor_pl.cli.functions").run_function
    _look_here(args)
    run_function(target, words, args[len(words.split()) :])


def _unknown_command(args: list[str]) -> None:
    """Help for a family of commands (`mentor testbed --help`), the nearest names for anything else."""
    family = [w for w in COMMANDS if w.split()[0] == args[0]]
    if family and args[1:2] in (["-h"], ["--help"]):
        print("\n".join(f"mentor {w}: {COMMANDS[w][0]}" for w in family))
        return
    if family:
        given = " ".join(args[:2])
        raise UsageError(f"no command 'mentor {given}'; there is " + ", ".join(f"'mentor {w}'" for w in family))
    known = [*TRAINER_COMMANDS, *COMMANDS]
    near = difflib.get_close_matches(args[0], [*known, *(w.split()[0] for w in COMMANDS)], n=1)
    hint = f"did you mean '{near[0]}'?" if near else "see mentor --help."
    raise UsageError(f"no command '{args[0]}'; {hint} Commands are {', '.join(known)}")


def _farewell(stopped: signals.Stopped, args: Sequence[str]) -> str:
    """What is kept of what was stopped, and the command that goes on."""
    again = shlex.join(["mentor", *args])
    if args[0] != "fit":
        return f"stopped by {stopped}"
    if stopped.saved is None:
        return f"stopped by {stopped}, nothing new to save; the same command: {again}"
    if "auto" not in args:
        again = shlex.join(["mentor", *_without(args, "--resume", "--ckpt_path"), "--resume", str(stopped.folder)])
    return f"stopped by {stopped} after step {stopped.step}, saved as {stopped.saved}; go on by: {again}"


def _without(args: Sequence[str], *options: str) -> list[str]:
    """The arguments without these options and their values."""
    left, skip = [], False
    for arg in args:
        if not skip and arg.split("=")[0] not in options:
            left.append(arg)
        skip = arg in options
    return left


def _speaks() -> bool:
    """Whether this process prints the error: among several ranks exactly one does, the first that gets here."""
    torch = sys.modules.get("torch")
    rank = int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))
    if torch is None or not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return rank == 0
    try:  # a further client of the store that the ranks met at
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = torch.distributed.TCPStore(address, port, is_master=False, timeout=timedelta(seconds=10))
        return int(store.add("mentor_usage_error", 1)) == 1
    except Exception:  # the store lived in a rank that has already left, after it spoke
        return rank == 0
