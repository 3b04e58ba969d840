"""Two interpreters that use each other's objects over a socket, where neither trusts what the other says.

Plain data (numbers, texts, lists, dicts, sets, …) cross as values, in JSON; anything else as a number that stands for
it, a `Remote` on the other side. What is done to a remote is done where it lives. With one exception: comparing and
calculating with plain data, and asking a text or a set by its own methods, take the remote's plain value, where it
has one, and happen here. So what a caller compares with never leaves it, and an object that equals everything equals
nothing.
"""

from __future__ import annotations

import builtins
import json
import operator
import socket
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

_HEADER = 4
_LONGEST = 1 << 26  # bytes of one message
_WHOLE = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "deque": deque}
_MAPPINGS = {"dict": dict, "Counter": Counter, "OrderedDict": OrderedDict}
_WORDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "int": (int, lambda value: hex(int(value)), lambda word: int(word, 16)),
    "complex": (complex, lambda value: repr(complex(value)), complex),
    "bytes": (bytes, lambda value: bytes(value).hex(), bytes.fromhex),
    "bytearray": (bytearray, lambda value: bytes(value).hex(), bytearray.fromhex),
    "Fraction": (Fraction, str, Fraction),
    "Decimal": (Decimal, str, Decimal),
}
# by the type of plain data, what it is asked here
_QUESTIONS: dict[type, frozenset[str]] = {
    str: frozenset(dir(str)),
    set: frozenset({"isdisjoint", "issubset", "issuperset"}),
}
_CALCULATIONS = ("eq", "ne", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow")
_DONE: dict[str, Callable[..., Any]] = {
    "call": lambda function, *values, **named: function(*values, **named),
    "getattr": getattr, "setattr": setattr, "getitem": operator.getitem, "setitem": operator.setitem,
    "delitem": operator.delitem, "len": len, "bool": bool, "iter": iter, "next": next, "str": str, "repr": repr,
    "instance": lambda kind, value: isinstance(value, kind),
    **{name: getattr(operator, name) for name in _CALCULATIONS},
}  # fmt: skip
EVERYTHING = frozenset(_DONE) | {"plain"}


class Closed(BaseException):
    """The other side has ended. No `Exception`: whoever catches those must not take it for an answer."""


class Remote:
    """An object of the other side."""

    __slots__ = ("_number", "_wire")

    def __init__(self, wire: Wire, number: int) -> None:
        object.__setattr__(self, "_wire", wire)
        object.__setattr__(self, "_number", number)

    def _ask(self, what: str, *values: Any, **named: Any) -> Any:
        return self._wire.ask(what, self, values, named)

    def __call__(self, *values: Any, **named: Any) -> Any:
        return self._ask("call", *values, **named)

    def __getattr__(self, name: str) -> Any:
        asked = any(name in names for names in _QUESTIONS.values())
        plain = self._ask("plain") if asked else self
        return getattr(plain, name) if name in _QUESTIONS.get(type(plain), frozenset()) else self._ask("getattr", name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._ask("setattr", name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._ask("getitem", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._ask("setitem", key, value)

    def __delitem__(self, key: Any) -> None:
        self._ask("delitem", key)

    def __iter__(self) -> Iterator[Any]:
        iterator: Iterator[Any] = self._ask("iter")
        return iterator

    def __next__(self) -> Any:
        return self._ask("next")

    def __len__(self) -> int:
        return int(self._ask("len"))

    def __bool__(self) -> bool:
        return self._ask("bool") is True

    def __str__(self) -> str:
        return str(self._ask("str"))

    def __repr__(self) -> str:
        return str(self._ask("repr"))

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Remote) and self._ask("instance", value) is True

    def __hash__(self) -> int:
        return hash(self._number)


def _calculation(name: str, swapped: bool) -> Callable[[Remote, Any], Any]:
    done = _DONE[name]

    def calculate(self: Remote, other: Any) -> Any:
        if isinstance(other, Remote):
            return self._ask(name, other)
        value = self._ask("plain")
        if isinstance(value, Remote):
            return NotImplemented
        return done(other, value) if swapped else done(value, other)

    return calculate


for _name in _CALCULATIONS:
    setattr(Remote, f"__{_name}__", _calculation(_name, swapped=False))
    if _CALCULATIONS.index(_name) >= _CALCULATIONS.index("add"):
        setattr(Remote, f"__r{_name}__", _calculation(_name, swapped=True))


class Wire:
    """One end.

    Args:
        channel: a connected stream socket.
        serves: what may be done to this side's objects, of `EVERYTHING`.

    Attributes:
        closed: the other side has ended.
    """

    def __init__(self, channel: socket.socket, serves: frozenset[str]) -> None:
        self.closed = False
        self._channel = channel
        self._serves = serves
        self._objects: list[Any] = []
        self._numbers: dict[int, int] = {}  # id of an object -> its number
        self._remotes: dict[int, Remote] = {}

    def ask(self, what: str, remote: Any, values: tuple[Any, ...] = (), named: dict[str, Any] | None = None) -> Any:
        """Have something done on the other side. Lists, dicts and sets among the values change as they did there."""
        named = named or {}
        given = [*values, *named.values()]
        self.send(["do", what, self.encode(remote), self.encode(list(values)), self.encode(named)])
        said = self._answered()
        if said[0] == "raised":
            kind = getattr(builtins, str(said[1]), None)
            raised = kind if isinstance(kind, type) and issubclass(kind, Exception) else RuntimeError
            raise raised(str(said[2]))
        for place, value in said[2]:
            _become(given[place], self.decode(value))
        return self.decode(said[1])

    def serve(self) -> None:
        """Do what the other side asks until it ends."""
        try:
            self._answered()
        except Closed:
            return

    def _answered(self) -> list[Any]:
        """The answer to what was asked; what the other side asks meanwhile is done."""
        said = self.receive()
        while said[0] == "do":
            self.send(self._do(*said[1:]))
            said = self.receive()
        return said

    def _do(self, what: str, target: Any, values: Any, named: Any) -> list[Any]:
        try:
            if what not in self._serves:
                raise TypeError(f"{what} is not done here")
            target, values, named = self.decode(target), self.decode(values), self.decode(named)
            if what == "plain":
                return ["done", self._plain(target), []]
            given = [*values, *named.values()]
            before = [self.encode(value) if type(value) in (list, dict, set) else None for value in given]
            done = self.encode(_DONE[what](target, *values, **named))
            after = [(place, self.encode(given[place])) for place, was in enumerate(before) if was is not None]
            return ["done", done, [(place, now) for place, now in after if now != before[place]]]
        except Exception as error:
            return ["raised", type(error).__name__, str(error)]

    def encode(self, value: Any) -> Any:
        """As JSON has it."""
        kind = type(value)
        if value is None or kind in (bool, str, float) or (kind is int and abs(value) < 1 << 63):
            return value
        for name, (exact, write, _) in _WORDS.items():
            if kind is exact:
                return {name: write(value)}
        for name, whole in _WHOLE.items():
            if kind is whole:
                return {name: [self.encode(one) for one in value]}
        for name, mapping in _MAPPINGS.items():
            if kind is mapping:
                return {name: [[self.encode(key), self.encode(one)] for key, one in value.items()]}
        if kind is Remote:
            return {"yours": value._number}
        number = self._numbers.setdefault(id(value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        return {"mine": number}

    def decode(self, said: Any) -> Any:
        """The value of what `encode` made on the other side."""
        if not isinstance(said, dict):
            return said
        ((name, body),) = said.items()
        if name in _WORDS:
            return _WORDS[name][2](body)
        if name in _WHOLE:
            return _WHOLE[name](self.decode(one) for one in body)
        if name in _MAPPINGS:
            made = _MAPPINGS[name]()
            made.update({self.decode(key): self.decode(one) for key, one in body})
            return made
        if name == "yours":
            return self._objects[body]
        return self._remotes.setdefault(body, Remote(self, body))

    def _plain(self, value: Any) -> Any:
        """An object of a class derived from that of plain data, as an object of the latter."""
        for kind in (int, float, str, *(kind for kind, _, _ in _WORDS.values()), *_WHOLE.values(), dict):
            if isinstance(value, kind):
                return self.encode(kind(value))
        return self.encode(value)

    def send(self, message: Any) -> None:
        """Send one message."""
        body = json.dumps(message).encode()
        try:
            self._channel.sendall(len(body).to_bytes(_HEADER, "big") + body)
        except OSError as error:
            raise self._end() from error

    def receive(self) -> list[Any]:
        """The next message."""
        size = int.from_bytes(self._exactly(_HEADER), "big")
        try:
            said = json.loads(self._exactly(size)) if size <= _LONGEST else None
        except (ValueError, RecursionError) as error:
            raise self._end() from error
        if not isinstance(said, list) or not said:
            raise self._end()
        return said

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            try:
                chunk = self._channel.recv(min(size - len(data), 1 << 20))
            except OSError as error:
                raise self._end() from error
            if not chunk:
                raise self._end()
            data += chunk
        return bytes(data)

    def _end(self) -> Closed:
        self.closed = True
        return Closed()


def _become(value: Any, other: Any) -> None:
    """Change what was given to a call to what the call made of it."""
    if type(value) is not type(other):
        return
    if isinstance(value, list):
        value[:] = other
    elif isinstance(value, dict | set):
        value.clear()
        value.update(other)
