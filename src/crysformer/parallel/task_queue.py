"""Tasks in order, and those that are to be done again because their worker died."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from crysformer.errors import CrysformerError

#: Deaths of workers with the same task from which it is given up, as with dask's own default.
DEATHS: Final = 3


@dataclass(frozen=True)
class Task:
    """Number and arguments of a task."""

    number: int
    arguments: tuple[Any, ...]


class TaskQueue:
    """Tasks in order, those that are to be done again first."""

    def __init__(self, tasks: Iterable[tuple[Any, ...]], may_begin: Callable[[], bool]) -> None:
        self._tasks = enumerate(tasks)
        self._again: deque[Task] = deque()
        self._deaths: Counter[int] = Counter()
        self._may_begin = may_begin

    def next(self) -> Task | None:
        """The task to begin now, if any."""
        if not self._may_begin():
            return None
        if self._again:
            return self._again.popleft()
        following = next(self._tasks, None)
        return None if following is None else Task(*following)

    def put_back(self, task: Task) -> None:
        """Take back a task that was not begun."""
        self._again.append(task)

    def died(self, task: Task) -> None:
        """Take back a task whose worker died."""
        self._deaths[task.number] += 1
        if self._deaths[task.number] >= DEATHS:
            raise_deaths()
        self._again.append(task)


def raise_deaths() -> NoReturn:
    """Give up a task that no worker survives."""
    raise CrysformerError(
        f"worker processes died {DEATHS} times with the same task; perhaps out of memory: try "
        "fewer `jobs`"
    )
