"""Work shared among processes: in order, a little ahead of whoever takes it, and never outliving him."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, TypeVar

from seqtrack.errors import SeqtrackError

_JOBS_PER_PROCESS = 4  # at work or done, and not yet taken

Context = TypeVar("Context")
Job = TypeVar("Job")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Cores that this process may use: a SLURM job sees its own."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[Context, Job], Result],
    context: Context,
    jobs: Iterable[Job],
    processes: int,
    method: str | None = None,
) -> Iterator[Result]:
    """``work(context, job)`` of each job, in their order, by so many processes (0: this one).

    Args:
        context: what every job needs; each process is given it once.
        method: how processes are started, of ``multiprocessing``'s.

    Raises:
        SeqtrackError: a process was killed. Whatever ``work`` raises, once the job's turn comes.
    """
    if processes == 0:
        yield from (work(context, job) for job in jobs)
        return
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context(method), _begin, (work, context))
    pending: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            pending.append(pool.submit(_do, job))
            if len(pending) == processes * _JOBS_PER_PROCESS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool:
        raise SeqtrackError(
            "a worker process was killed (out of memory?); give the command again, perhaps with fewer --num_workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_given: list[Any] = []  # in a worker process: its work and context


def _begin(*given: Any) -> None:
    _given[:] = given
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A pool's processes wait for work for ever if whoever started them is killed.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _do(job: Any) -> Any:
    work, context = _given
    return work(context, job)
