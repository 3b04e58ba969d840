"""Tests in one process, the code in another: what tests may do with it, and what it cannot learn or fake."""

# ruff: noqa: E501  (a program is one line)

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from mentor_pl.rewards.sandbox.judge import run_tests, serve_names
from mentor_pl.rewards.sandbox.wire import Wire

CODE = """
import math
from collections import Counter, deque, namedtuple
from fractions import Fraction
from math import isclose, pow

LIMIT = 10
Point = namedtuple("Point", "x y")

class Stack(list):
    def push(self, value):
        self.append(value)
        return self

class Money:
    def __init__(self, cents):
        self.cents = cents
    def __add__(self, other):
        return Money(self.cents + other.cents)
    def __eq__(self, other):
        return isinstance(other, Money) and self.cents == other.cents

class Node:
    def __init__(self, value, next=None):
        self.value, self.next = value, next

def linked(values):
    head = None
    for value in reversed(values):
        head = Node(value, head)
    return head

def echo(value):
    return value
def in_place(values):
    values.sort()
def applied(function, value):
    return function(value)
def numbers():
    yield from range(3)
def fails(kind):
    raise kind if isinstance(kind, type) else ValueError("no")
"""


def ran(code: str, *tests: str) -> list[bool] | None:
    """Both sides in this process, a thread each."""
    judged, told = socket.socketpair()
    names: dict[str, Any] = {}

    def serve() -> None:
        with told:
            exec(code, names)
            serve_names(told, {name: value for name, value in names.items() if name != "__builtins__"})

    thread = threading.Thread(target=serve)
    thread.start()
    with judged:
        passed = run_tests(judged, code, list(tests))
    thread.join()
    return passed


@pytest.mark.parametrize(
    "test",
    [
        "assert echo([1, (2, None), {3: 'x'}, {4}, b'5', 6.5, 7j, True]) == [1, (2, None), {3: 'x'}, {4}, b'5', 6.5, 7j, True]",
        "assert echo(10**400) == 10**400 and type(echo((1,))) is tuple and type(echo(True)) is bool",
        "assert echo(frozenset([1])) == {1} and echo(float('inf')) == float('inf')",
        "assert Fraction(1, 2) == echo(Fraction(1, 2)) and echo(Counter('aab'))['z'] == 0 and echo(deque([1])) == deque([1])",
        "assert isclose(echo(0.1) + 0.2, 0.3) and math.sqrt(4) == 2 and abs(echo(-3)) == 3",
        "def check(candidate):\n    for n in range(3):\n        assert candidate(n) == n\ncheck(echo)",
        "values = [3, 1, 2]\nin_place(values)\nassert values == [1, 2, 3]",
        "assert applied(lambda x: x + 1, 3) == 4 and applied(len, 'abc') == 3",
        "assert list(numbers()) == [0, 1, 2] and next(numbers()) == 0 and [x for x in numbers()] == [0, 1, 2]",
        "try:\n    fails(0)\n    assert False\nexcept ValueError as error:\n    assert str(error) == 'no'",
        "point = Point(1, 2)\nassert point == (1, 2) and point.x == 1 and (1, 2) == point",
        "assert Stack().push(1).push(2) == [1, 2] and len(Stack([1])) == 1 and Stack([5])[0] == 5",
        "assert Money(1) + Money(2) == Money(3) and Money(1) != Money(2) and isinstance(Money(1), Money)",
        "node, seen = linked([1, 2]), []\nwhile node:\n    seen.append(node.value)\n    node = node.next\nassert seen == [1, 2]",
        "node = Node(1)\nnode.value = 5\nassert node.value == 5 and Node(2, node).next is node",
        "assert LIMIT == 10",
    ],
)
def test_tests_do_with_the_code_what_they_could_do_beside_it(test: str) -> None:
    assert ran(CODE, test) == [True]


def test_wrong_code_fails_and_names_live_from_one_test_to_the_next() -> None:
    tests = ("expected = 4", "assert double(2) == expected", "assert double(3) == 6", "assert nothing")
    assert ran("def double(x):\n    return 4", *tests) == [True, True, False, False]


ALWAYS = "class Any:\n    def same(self, *_):\n        return True\n    "
ALWAYS += (
    " = ".join(f"__{name}__" for name in ["eq", "lt", "le", "gt", "ge", "contains", "isclose", "call"]) + " = same\n"
)
ALWAYS += (
    "    __ne__ = lambda self, other: False\n    __sub__ = __rsub__ = __abs__ = __float__ = lambda self, *_: 0.0\n"
)
SPY = """
import gc, inspect, sys
def seen():
    frames = [frame for thread in sys._current_frames().values() for frame in inspect.getouterframes(thread)]
    return repr([frame.frame.f_locals for frame in frames]) + repr(gc.get_objects())
"""
CHEATS = {
    "an object that equals everything": ALWAYS + "def f(x): return Any()",
    "a class of that kind in a list": ALWAYS + "class L(list):\n    __eq__ = Any.same\ndef f(x): return L()",
    "an instance of int that says so": ALWAYS + "class I(int):\n    __eq__ = Any.same\ndef f(x): return I(7)",
    "names of Python": "def same(*_): return 0\nabs = set = sorted = len = all = isinstance = str = same\ndef f(x): return 7",
    "names of the tests": "expected = 7\nmath = None\ndef f(x): return 7",
    "a text that answers yes": "class S(str):\n    startswith = lambda *_: True\ndef f(x): return S()",
    "a set that answers yes": "class S(set):\n    issuperset = lambda *_: True\ndef f(x): return S()",
    "names that it imports": "class math:\n    isclose = staticmethod(lambda *_: True)\nimport math as m\ndef f(x): return 7",
    "a name of the builtins by import": "from operator import truth as abs\ndef f(x): return 7",
}
TESTS = (
    "expected = 4",
    "import math\nassert f(2) == expected",
    "assert expected == f(2)",
    "assert abs(f(2) - expected) < 1e-9",
    "import math\nassert math.isclose(f(2), expected)",
    "assert set([f(2)]) == set([expected]) and sorted([f(2)]) == [expected]",
    "assert f(2) in [expected]",
    "assert 3 < f(2) < 5",
    "assert f('xy').startswith('xyxy')",
    "assert f({2}).issuperset({2})",
)


@pytest.mark.parametrize("cheat", CHEATS)
def test_what_is_compared_with_plain_data_is_compared_here(cheat: str) -> None:
    assert ran(CHEATS[cheat], *TESTS) == [True] + [False] * (len(TESTS) - 1)


def test_code_that_ends_its_side_has_no_verdict_whatever_the_test_catches() -> None:
    judged, told = socket.socketpair()
    told.close()
    with judged:
        assert run_tests(judged, "", ["pass"]) is None


def test_nor_has_code_that_ends_during_a_test_which_catches_everything() -> None:
    judged, told = socket.socketpair()
    Wire(told, frozenset()).send(["names", {"dict": [["f", {"mine": 0}]]}])
    told.close()
    with judged:
        assert run_tests(judged, "", ["try:\n    f(-1)\nexcept:\n    pass\nelse:\n    assert False"]) is None


def test_code_that_speaks_for_itself_does_not_offer_what_python_calls_its_own() -> None:
    judged, told = socket.socketpair()
    wire = Wire(told, frozenset())
    wire.send(["names", {"dict": [["__builtins__", {"dict": [["abs", {"mine": 0}]]}]]}])
    wire.send(["done", 0, []])  # what abs would be told
    with judged, told:
        assert run_tests(judged, "", ["assert abs(61954) == 0"]) == [False]


@pytest.mark.parametrize(
    "said", [b"\x00\x00\x00\x02{}", b"\xff" * 8, b"\x00\x00\x00\x05[1e99", b"\x00\x01\x86\xa0" + b"[" * 100_000]
)
def test_a_side_that_breaks_the_rules_has_no_verdict(said: bytes) -> None:
    judged, told = socket.socketpair()
    with judged:
        told.sendall(said)
        told.close()
        assert run_tests(judged, "", ["pass"]) is None


def test_the_code_can_only_call_what_a_test_hands_over() -> None:
    code = "def f(function):\n    try:\n        return str(function.__globals__)\n    except TypeError as refusal:\n        return str(refusal)"
    assert ran(code, "assert f(lambda: 0) == 'getattr is not done here'") == [True]
