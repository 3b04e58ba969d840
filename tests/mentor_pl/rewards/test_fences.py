"""Which block of a response is its program."""

from __future__ import annotations

import time

import pytest

from mentor_pl.rewards.fences import blocks, program

ADD = "def add(a, b):\n    return a + b\n"


def test_the_last_python_block_counts() -> None:
    text = "```python\na\n```\n```py\nb\n```\n```bash\nc\n```\n```\nd\n```"
    assert program(text) == "b\n"
    assert program("```\nd\n```") == "d\n"
    assert program("```bash\nc\n```") is None
    assert program("no block") is None
    assert program("```" * 50_000) is None


@pytest.mark.parametrize(
    "text",
    [
        f"```python\n{ADD}",
        f"~~~python\n{ADD}~~~",
        f"~~~~ Python\n{ADD}~~~~~\n",
        f"``` python title='add'\n{ADD}```",
        f"```{{.python}}\n{ADD}```",
        "1. It:\n   ```python\n   def add(a, b):\n       return a + b\n   ```\n",
        "\t```python\n\tdef add(a, b):\n\t    return a + b\n\t```\n",
        f"```python\r\n{ADD}```\r\n",
        f"```python\nwhile\n\n```python\n{ADD}```",
    ],
    ids=[
        "unclosed",
        "tildes",
        "longer",
        "words",
        "braces",
        "indented",
        "by a tab",
        "carriage returns",
        "not closed before",
    ],
)
def test_blocks_are_found_however_they_are_fenced(text: str) -> None:
    assert program(text) == ADD


def test_what_a_block_holds_does_not_end_it() -> None:
    text = "````python\na = '''\n```\n~~~\n'''\n````"
    assert blocks(text) == [("python", "a = '''\n```\n~~~\n'''\n")]
    assert blocks("~~~\n```\n~~~") == [("", "```\n")]


@pytest.mark.parametrize(
    "use",
    [
        "```python\nprint(add(1, 2))  # 3\n```",
        "```python\nfrom solution import add\nassert add(1, 2) == 3\n```",
        "```python\n>>> add(1, 2)\n3\n```",
        "```python\ndef test_add():\n    assert add(1, 2) == 3\n```",
        "```\nadd(1, 2) is 3\n```",
    ],
)
def test_an_example_of_use_behind_the_program_is_passed_over(use: str) -> None:
    assert program(f"```python\n{ADD}```\nUse it like this:\n{use}") == ADD


def test_a_later_program_counts_although_it_speaks_of_an_earlier_one() -> None:
    text = "```python\ndef slow(n):\n    pass\n```\n```python\n# unlike slow(n)\nprint(input())\n```"
    assert program(text) == "# unlike slow(n)\nprint(input())\n"
    again = "def add(a, b):\n    return b + a\n"
    assert program(f"```python\n{ADD}```\n```python\n{again}```") == again


def test_text_without_end_is_searched_in_linear_time() -> None:
    begin = time.process_time()
    for text in ("```" + "a" * 100_000, "```" + " " * 100_000, "```x\n" * 20_000, "`" * 100_000):
        assert program(text) is None
    assert time.process_time() - begin < 0.5
