"""Place where tasks run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crysformer.errors import UsageError

#: A scheduler of this name is started on this machine for the one run.
LOCAL: Final = "local"


@dataclass(frozen=True)
class Workers:
    """Place where tasks run.

    Attributes
    ----------
    jobs
        Processes of this machine; 1 runs tasks in the calling process. Above 1 the calling script
        needs the usual ``if __name__ == "__main__":``.
    scheduler
        Address of a dask.distributed scheduler such as ``tcp://host:8786``, whose workers have this
        package and see the same folders, or ``"local"`` for one with `jobs` workers on this
        machine. None for plain processes.
    """

    jobs: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"`jobs` is {self.jobs}: expected a whole number from 1")

    @property
    def elsewhere(self) -> bool:
        """True if tasks run in other processes than this one."""
        return self.jobs > 1 or self.scheduler is not None
