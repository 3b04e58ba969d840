"""Graded code that wants a grade it has not earned: `f` must double, and does not."""

# ruff: noqa: E501  (a program is one line)

from __future__ import annotations

from collections.abc import Iterator

from faults.report import Outcome

from mentor_pl.rewards.code import CodeReward
from mentor_pl.types import Prompt, Response

# Unlikely numbers: what finds them has looked at the tests.
TESTS = [
    "expected = 61954",
    "assert f(30977) == expected",
    "assert abs(f(30977) - 61954) < 1e-9",
    "import math\nassert math.isclose(f(30977), 61954)",
    "assert sorted([f(30977)]) == [61954]",
    "assert f('30977').startswith('3097730977')",
]
CASES = {"inputs": ["30977"], "outputs": ["61954"]}
# The code's own end of the socket: it offers Python's names, and answers whatever is asked.
_FORGED = """
import json, os, stat
def holds(i):
    try:
        return stat.S_ISSOCK(os.fstat(i).st_mode)
    except OSError:
        return False
judge = next(filter(holds, range(3, 64)))
def say(message):
    body = json.dumps(message).encode()
    os.write(judge, len(body).to_bytes(4, "big") + body)
names = {"f": 7, "abs": 0, "sorted": {"list": [61954]}, "__import__": {"mine": 99}}
ours = {"dict": [[name, {"mine": i}] for i, name in enumerate(names)]}
say(["names", {"dict": [["f", {"mine": 0}], ["__builtins__", ours]]}])
while asked := os.read(judge, int.from_bytes(os.read(judge, 4), "big")):
    _, what, whose, *_ = json.loads(asked)
    number = whose.get("yours", 99)
    say(["done", list(names.values())[number] if what == "call" and number < len(names) else True, []])
"""
_SEARCH = "    import re\n    found = re.findall(r'6195\\d', text)\n    return int(found[0]) if found else 0\n"
_SAME = "class Same(int):\n    def yes(self, *_): return True\n    def nought(self, *_): return 0\n"
_SAME += "    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = yes\n    __ne__ = lambda self, _: False\n"
_SAME += "    __sub__ = __rsub__ = __abs__ = nought\n    __hash__ = int.__hash__\n"

CHEATS = {
    "frames": "import sys, inspect\ndef f(x):\n    text = ''\n    frame = sys._getframe()\n    while frame:\n        text += repr(frame.f_locals) + repr(frame.f_globals)\n        frame = frame.f_back\n"
    + _SEARCH,
    "frames of every thread": "import sys\ndef f(x):\n    text = repr([vars(type(frame)) and frame.f_locals for frame in sys._current_frames().values()])\n"
    + _SEARCH,
    "the garbage collector": "import gc\ndef f(x):\n    text = ' '.join(repr(one)[:100000] for one in gc.get_objects())\n"
    + _SEARCH,
    "inspect.stack": "import inspect\ndef f(x):\n    text = repr([(frame.frame.f_locals, frame.code_context) for frame in inspect.stack()])\n"
    + _SEARCH,
    "standard input": "import os, sys\ndef f(x):\n    os.lseek(0, 0, 0)\n    text = os.read(0, 1 << 20).decode(errors='replace')\n"
    + _SEARCH,
    "every descriptor": "import os\ndef f(x):\n    text = ''\n    for i in range(256):\n        try:\n            text += os.pread(i, 1 << 20, 0).decode(errors='replace')\n        except OSError:\n            pass\n"
    + _SEARCH,
    "files of the folder and of /tmp": "import os\ndef f(x):\n    text = ''\n    for top in ('.', '/tmp', '/dev/shm'):\n        for where, _, names in os.walk(top):\n            for name in names:\n                try:\n                    text += open(os.path.join(where, name), errors='replace').read(100000)\n                except OSError:\n                    pass\n"
    + _SEARCH,
    "its memory by ctypes": "import ctypes\ndef f(x):\n    text = ''\n    try:\n        for line in open('/proc/self/maps'):\n            a, b = (int(n, 16) for n in line.split()[0].split('-'))\n            if 'rw' in line:\n                text += ctypes.string_at(a, min(b - a, 1 << 24)).decode('latin1')\n    except OSError:\n        pass\n"
    + _SEARCH,
    "the other process's memory": "import os\ndef f(x):\n    text = ''\n    for pid in {os.getppid(), *range(1, 200)}:\n        try:\n            with open(f'/proc/{pid}/mem', 'rb') as m:\n                for line in open(f'/proc/{pid}/maps'):\n                    a, b = (int(n, 16) for n in line.split()[0].split('-'))\n                    m.seek(a)\n                    text += m.read(min(b - a, 1 << 24)).decode('latin1')\n        except (OSError, ValueError):\n            pass\n"
    + _SEARCH,
    "an object that equals everything": _SAME + "def f(x): return Same(7)",
    "such an object in a list": _SAME + "class L(list):\n    __eq__ = Same.yes\ndef f(x): return L([Same()])",
    "changed builtins": "import builtins\nfor name in ('abs', 'sorted', 'isinstance', 'AssertionError', 'len'):\n    setattr(builtins, name, lambda *_: 0)\ndef f(x): return 7",
    "a changed module": "import math\nmath.isclose = lambda *_: True\ndef f(x): return 7",
    "names of the tests": "expected = 7\nabs = lambda x: 0\nsorted = lambda x: [61954]\ndef f(x): return 7",
    "sys.exit before the tests": "import sys\ndef f(x): return 7\nsys.exit(0)",
    "os._exit before the tests": "import os\nos._exit(0)",
    "os._exit in a test": "import os\ndef f(x): os._exit(0)",
    "a verdict printed": "print('[true, true, true, true, true, true]', flush=True)\nimport os\nos._exit(0)",
    "a verdict to every descriptor": "import os\ndef f(x):\n    for i in range(256):\n        try:\n            os.write(i, b'[true, true, true, true, true, true]')\n        except OSError:\n            pass\n    os._exit(0)",
    "answers sent before the questions": "import os\nfor i in range(3, 64):\n    try:\n        for _ in range(99):\n            os.write(i, b'\\0\\0\\0\\x12[\"done\", 61953, []]')\n    except OSError:\n        pass\ndef f(x): return 7",
    "names of its own message": _FORGED,
    "a text that answers yes": "class S(str):\n    startswith = lambda *_: True\ndef f(x): return S()",
    "killing the judge": "import os\ndef f(x):\n    os.kill(os.getppid(), 9)\n    return 7",
}
PRINTS = {
    "prints every number": "print('\\n'.join(map(str, range(100000))))",
    "looks for the output": "import sys, os\nprint(sys.argv, dict(os.environ), os.listdir('.'), os.pread(0, 1 << 20, 0))",
}


def outcomes() -> Iterator[Outcome]:
    """Every attempt, and that the right code passes."""
    reward = CodeReward(allow_execution=True, isolation="best_effort", credit="share", timeout=20.0)
    try:
        for what, code in CHEATS.items():
            # all that may be earned is the first, which asks nothing of the code
            yield _graded(reward, f"tests, by {what}", {"tests": TESTS}, code, 1 / len(TESTS))
        for what, code in PRINTS.items():
            yield _graded(reward, f"outputs: {what}", CASES, code, 0.0)
        right = ({"tests": TESTS}, "def f(x): return 2 * x"), (CASES, "print(2 * int(input()))")
        earned = [_share(reward, metadata, code) for metadata, code in right]
        yield Outcome("the right code", "1", str(earned), earned == [1.0, 1.0])
    finally:
        reward.close()


def _graded(reward: CodeReward, what: str, metadata: dict[str, list[str]], code: str, most: float) -> Outcome:
    share = _share(reward, metadata, code)
    return Outcome(what, "earns nothing", f"{share:.1f} of the tests" if share > most else "nothing", share <= most)


def _share(reward: CodeReward, metadata: dict[str, list[str]], code: str) -> float:
    return reward([Prompt(0, "", "", (), "", metadata)], [Response(f"```python\n{code}\n```")]).parts["outcome"][0]
