"""What a reward is: one response in, a total within a declared range and named parts out, now or as a future.

    class Short(Reward):
        range = (0.0, 1.0)

        def grade(self, prompt, response):
            return Grade(float(len(response.text) < 100))

Whoever wants grades calls `submit`, for one response as soon as it ends, or the reward itself, for a batch. Whatever
the reward does, each response comes back: graded, left out, or as a failure that `Grading` says what to do with.
"""

from __future__ import annotations

import logging
import math
import queue
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from functools import wraps
from typing import Any, final

from mentor_pl.rewards.grades import Grade, Grades, Grading, NotGraded, checked, in_words
from mentor_pl.rewards.time_limit import TimeUp, time_limit
from mentor_pl.runtime import signals
from mentor_pl.runtime.errors import UsageError
from mentor_pl.runtime.leaving import give_up_threads
from mentor_pl.types import Prompt, Response

__all__ = ["Grade", "Grades", "Grading", "NotGraded", "Reward"]

_LOOK_SECONDS = 0.2
_USERS = (KeyboardInterrupt, signals.Stopped)  # the only ends that are not the reward's
_log = logging.getLogger(__name__)


class Reward(ABC):
    """Grades responses. A subclass sets the range and grades one response; YAML names it by its import path.

    Attributes:
        range: smallest and greatest total; a total outside stops the run. Its span is R_range in equation [11].
        made_with: arguments that the constructor was called with, in order and by name; None where it is not a class's
            own `__init__`, as in a dataclass.
    """

    range: tuple[float, float]
    made_with: tuple[tuple[Any, ...], dict[str, Any]] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        ours = sorted({"submit", "gather", "wait_for", "end", "__call__"} & set(vars(cls)))
        if ours:
            raise UsageError(
                f"reward {cls.__name__} defines {', '.join(ours)}, which Reward itself does for it: define "
                "grade(prompt, response), the grade of one response, or a future of it"
            )
        if "__init__" in vars(cls):
            cls.__init__ = _recorded(vars(cls)["__init__"])  # type: ignore[method-assign]

    @abstractmethod
    def grade(self, prompt: Prompt, response: Response) -> Grade | Future[Grade] | Future[Grade | None] | None:
        """The grade of a response to `prompt`; a future of it where that takes time, as in workers; None for none."""

    def example(self, prompt: Prompt) -> str | None:
        """The end of a response that answers `prompt` rightly, made of its gold answer: `mentor doctor` grades it.

        None where none can be made, as by default.
        """
        return None

    def close(self) -> None:
        """End what grading has started, such as processes; a later response may start it again."""
        return

    @final
    def submit(self, prompt: Prompt, response: Response, grading: Grading | None = None) -> Future[Grade | None]:
        """Start to grade one response.

        Args:
            prompt: what is answered.
            response: the answer.
            grading: rule of whoever wants the grade; a reward that asks another one has none.

        Returns:
            a future of the checked grade, or of None. It raises `NotGraded` where the reward failed, and `UsageError`
            where it gave what no grade is, or raised one itself.

        Raises:
            UsageError: already here, where the response is at an end at once, and `grading` does not let that pass.
        """
        promised: Future[Grade | None] = Future()
        try:
            with time_limit((grading or Grading()).timeout):
                given = self.grade(prompt, response)
        except _USERS:
            raise
        except BaseException as error:
            self._fail(promised, prompt, f"grade() {error}" if isinstance(error, TimeUp) else error)
        else:
            if isinstance(given, Future):
                given.add_done_callback(lambda done: self._pass_on(promised, prompt, done))
            else:
                self._keep(promised, prompt, given)
        if grading is not None and promised.done():  # the next ones would hang or fail likewise
            self.gather([prompt], [promised], grading)
        return promised

    @final
    def gather(
        self,
        prompts: Sequence[Prompt],
        futures: Sequence[Future[Grade | None]],
        grading: Grading = Grading(),  # noqa: B008 (frozen)
    ) -> Grades:
        """What `submit` gave for N responses as one batch, in their order. A part that a response lacks is 0 there.

        Raises:
            UsageError: for what no grade is, and for a failure, where `grading` does not let it pass.
        """
        self.wait_for(prompts, futures, grading)
        grades, failed = [], []
        for row, (prompt, future) in enumerate(zip(prompts, futures, strict=True)):
            try:
                grade = future.result()
                why = self._line(prompt, grade.failure) if grade is not None and grade.failure else ""
            except NotGraded as failure:
                grade, why = None, str(failure)
            if grade is None or why:
                failed.append(row)
            parts = grade.parts if grade is not None else {}
            grade = grading.decided(grade, why, self.range[0]) if why else grade
            grades.append((math.nan if grade is None else grade.total, parts))
        names = dict.fromkeys(name for _, parts in grades for name in parts)
        columns = {name: [parts.get(name, 0.0) for _, parts in grades] for name in names}
        return Grades([total for total, _ in grades], columns, tuple(failed))

    @final
    def wait_for(
        self,
        prompts: Sequence[Prompt],
        futures: Sequence[Future[Grade | None]],
        grading: Grading = Grading(),  # noqa: B008
    ) -> None:
        """Wait until what `submit` gave is there; after too long a silence the rest is given up."""
        if _all_arrive(futures, grading.timeout):
            return
        give_up_threads()
        for prompt, future in zip(prompts, futures, strict=True):
            self._fail(future, prompt, f"no grade came for {grading.timeout:g} s")

    @final
    def end(self, grading: Grading = Grading()) -> None:  # noqa: B008 (frozen)
        """Close; that it fails, or does not come to an end, is a warning, since every grade has been given."""
        try:
            with time_limit(grading.timeout):
                self.close()
        except _USERS:
            raise
        except BaseException as error:
            give_up_threads()
            _log.warning("reward %s: its close() failed: %s", type(self).__name__, _told(error))

    @final
    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[Response]) -> Grades:
        """Grade `responses[i]` as an answer to `prompts[i]`, N of each."""
        return self.gather(prompts, [self.submit(*pair) for pair in zip(prompts, responses, strict=True)])

    def _pass_on(self, promised: Future[Grade | None], prompt: Prompt, done: Future[Any]) -> None:
        error = CancelledError("its future was cancelled") if done.cancelled() else done.exception()
        if error is not None:
            self._fail(promised, prompt, error)
        else:
            self._keep(promised, prompt, done.result())

    def _keep(self, promised: Future[Grade | None], prompt: Prompt, given: Any) -> None:
        """Keep a promise with what the reward gave."""
        try:
            grade = checked(given, type(self).__name__, prompt.index, self.range)
        except UsageError as error:
            self._fail(promised, prompt, error)
        else:
            with suppress(InvalidStateError):  # given up meanwhile
                promised.set_result(grade)

    def _fail(self, promised: Future[Grade | None], prompt: Prompt, cause: BaseException | str) -> None:
        """Break a promise. What a reward within this one has said already is said once."""
        if not isinstance(cause, UsageError | NotGraded):
            cause = NotGraded(self._line(prompt, cause if isinstance(cause, str) else _told(cause)))
        with suppress(InvalidStateError):
            promised.set_exception(cause)

    def _line(self, prompt: Prompt, cause: str) -> str:
        cause = " ".join(cause.split())[:400]
        return f"reward {type(self).__name__} could not grade problem {prompt.index}: {cause}"

    def check_range(self) -> None:
        """Refuse a range that no advantage can be divided by.

        Raises:
            UsageError: for a reward without a range of two finite numbers, the second above the first.
        """
        declared: Any = getattr(self, "range", None)
        try:
            low, high = declared
            usable = -math.inf < low < high < math.inf
        except (TypeError, ValueError):
            usable = False
        if not usable:
            raise UsageError(
                f"reward {type(self).__name__} declares the range {declared}: set `range` to its smallest and greatest "
                "total, the second above the first"
            )


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {in_words(error)}"


def _all_arrive(futures: Sequence[Future[Any]], patience: float) -> bool:
    """Wait for all, as long as one comes in every `patience` seconds; False where none does."""
    arrived: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
    for future in futures:
        future.add_done_callback(arrived.put)
    left, last = len(futures), time.monotonic()
    while left and time.monotonic() - last < patience:
        signals.check()
        with suppress(queue.Empty):
            arrived.get(timeout=min(patience, _LOOK_SECONDS))
            left, last = left - 1, time.monotonic()
    return not left


def _recorded(init: Callable[..., None]) -> Callable[..., None]:
    """A constructor that keeps its arguments as `made_with`; one that a subclass's constructor calls keeps none."""

    @wraps(init)
    def recorded(self: Reward, *args: Any, **kwargs: Any) -> None:
        if type(self).__init__ is recorded:
            self.made_with = args, kwargs
        init(self, *args, **kwargs)

    return recorded
