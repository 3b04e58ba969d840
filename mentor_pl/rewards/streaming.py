"""Rewards that grade one response at a time, as soon as it ends, while other rows are still being decoded.

futures = [submit(reward, prompt, response) for …]    # any reward; those without `submit` grade at once
grades = gather(futures)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, runtime_checkable

from mentor_pl.rewards.base import Grades, Reward
from mentor_pl.types import Prompt


@runtime_checkable
class StreamingReward(Protocol):
    """A reward that also takes single responses.

    Attributes:
        range: least and greatest total.
    """

    range: tuple[float, float]

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> Grades:
        """Grade N responses."""
        ...

    def submit(self, prompt: Prompt, response: str) -> Future[Grades]:
        """Start to grade one response; the future's grades hold one row."""
        ...


def submit(reward: Reward, prompt: Prompt, response: str) -> Future[Grades]:
    """Hand one response to any reward; its future yields grades of one row."""
    if isinstance(reward, StreamingReward):
        return reward.submit(prompt, response)
    done: Future[Grades] = Future()
    done.set_result(reward([prompt], [response]))
    return done


def gather(futures: Sequence[Future[Grades]]) -> Grades:
    """One batch from single rows, in their order. A part that a row lacks is 0 there."""
    rows = [future.result() for future in futures]
    names = dict.fromkeys(name for row in rows for name in row.parts)
    parts = {name: [float(row.parts[name][0]) if name in row.parts else 0.0 for row in rows] for name in names}
    return Grades([float(row.total[0]) for row in rows], parts)


class Stream:
    """N responses on their way to a reward: `put` in each as it ends, then take the `grades` of all.

    A reward with `submit` starts on a response at once; any other grades all of them together, in the end.

    Args:
        reward: the grader.
        prompts: the prompt of each response, N of them.
    """

    def __init__(self, reward: Reward, prompts: Sequence[Prompt]) -> None:
        self.reward, self.prompts = reward, prompts
        self._responses: dict[int, str] = {}
        self._futures: dict[int, Future[Grades]] = {}

    def put(self, place: int, response: str) -> None:
        """Take the response to `prompts[place]`."""
        self._responses[place] = response
        if isinstance(self.reward, StreamingReward):
            self._futures[place] = self.reward.submit(self.prompts[place], response)

    @property
    def responses(self) -> list[str]:
        """All of them, in the prompts' order."""
        return [self._responses[place] for place in range(len(self.prompts))]

    def grades(self) -> Grades:
        """Grades of all responses, in the prompts' order; waits for those that are not graded yet."""
        if isinstance(self.reward, StreamingReward):
            return gather([self._futures[place] for place in range(len(self.prompts))])
        return self.reward(self.prompts, self.responses)


def combine(futures: Sequence[Future[Grades]], blend: Callable[[Sequence[Grades]], Grades]) -> Future[Grades]:
    """One future from several: `blend` of their rows once the last is there, or the first error among them."""
    combined: Future[Grades] = Future()
    lock = threading.Lock()
    left = [len(futures)]

    def arrived(_: Future[Grades]) -> None:
        with lock:
            left[0] -= 1
            if left[0]:
                return
        try:
            combined.set_result(blend([future.result() for future in futures]))
        except Exception as error:
            combined.set_exception(error)

    for future in futures:
        future.add_done_callback(arrived)
    return combined
