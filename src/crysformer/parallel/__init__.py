"""Independent tasks here, in processes of this machine, or on a dask cluster.

`run_tasks` is the one interface: results come as tasks end, the tasks of a worker that dies are
done again elsewhere, and each result comes once. In other processes than the calling one, each
task computes with one thread.
"""

from __future__ import annotations

from crysformer.parallel.run import run_tasks as run_tasks
from crysformer.parallel.threads import one_thread as one_thread
from crysformer.parallel.workers import LOCAL as LOCAL
from crysformer.parallel.workers import Workers as Workers

__all__ = ["LOCAL", "Workers", "one_thread", "run_tasks"]
