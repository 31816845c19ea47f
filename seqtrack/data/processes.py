"""Work shared among processes: in order, a little ahead of whoever takes it, and never outliving him."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from seqtrack.errors import SeqtrackError, TrialError

log = logging.getLogger(__name__)

_JOBS_PER_PROCESS = 4  # at work or done, and not yet taken
ASK_TO_STOP = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT)
# What kills more than that (a fault in a tracker, no memory) will kill the next one too.
_MOST_REPLACED = 2
# For one that closed its pipe to end as well, which is a matter of milliseconds unless the machine is very busy.
_SECONDS_TO_END = 30.0

# What a pipe says when the process at its other end is gone: OSError where that was in the middle of an answer.
GONE = (EOFError, OSError)

Context = TypeVar("Context")
Job = TypeVar("Job")
Result = TypeVar("Result")
Report = TypeVar("Report")


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
    start = multiprocessing.get_context(method)
    asked: queue.SimpleQueue[tuple[Job, Future[Result]] | None] = queue.SimpleQueue()
    workers, threads = [], []
    # A pipe for each, and not a queue for all (as concurrent.futures has it): whoever is killed while he answers
    # would hold that queue's lock for ever, and with it everybody.
    for _ in range(processes):
        mine, theirs = start.Pipe()
        worker = start.Process(target=_answer, args=(theirs, work, context), daemon=True)  # type: ignore[attr-defined]
        with withheld_signals(start.get_start_method()):
            worker.start()
        end_by_killing(worker)
        theirs.close()
        workers.append(worker)
        threads.append(threading.Thread(target=_ask, args=(mine, asked), daemon=True))
    for thread in threads:  # after the last fork
        thread.start()
    pending: deque[Future[Result]] = deque()
    try:
        for job in jobs:
            pending.append(Future())
            asked.put((job, pending[-1]))
            if len(pending) == processes * _JOBS_PER_PROCESS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        with contextlib.suppress(queue.Empty):
            while True:
                asked.get_nowait()
        for _ in threads:
            asked.put(None)
        for part in (*threads, *workers):
            part.join()


def _ask(worker: Connection, asked: queue.SimpleQueue[tuple[Any, Future[Any]] | None]) -> None:
    """Hands jobs to one process, one at a time, until there are no more or it is gone."""
    while (item := asked.get()) is not None:
        job, future = item
        try:
            worker.send((job,))
            is_done, value = worker.recv()
        except GONE:
            # The job is older than all that nobody has taken, so whoever takes the results meets this first.
            future.set_exception(
                SeqtrackError(
                    "a worker process was killed (out of memory?); give the command again, perhaps with fewer"
                    " --num_workers"
                )
            )
            return
        except BaseException as error:  # what cannot be pickled
            future.set_exception(error)
            continue
        if is_done:
            future.set_result(value)
        else:
            future.set_exception(value)
    with contextlib.suppress(ConnectionError):
        worker.send(None)
    worker.close()


def _answer(asker: Connection, work: Callable[[Any, Any], Any], context: Any) -> None:
    """What a process does: it works on what it is sent until it is sent nothing."""
    leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with contextlib.suppress(EOFError, ConnectionError):  # whoever asks is gone
        while (item := asker.recv()) is not None:
            try:
                answer = (True, work(context, *item))
            except BaseException as error:
                answer = (False, _sendable(error))
            try:
                asker.send(answer)
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                asker.send((False, _sendable(error)))


def _end_with_parent() -> None:
    # A process waits for work for ever if whoever started it is killed.
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class CannotHelp(Exception):
    """What a process of a crew raises that has no place beside the others: they do its work."""


class Crew(Generic[Job, Report]):
    """Processes that take a job each and report while they are at it, beside whatever this one does meanwhile.

    Each has a pipe of its own, so that one that is killed takes nothing with it but its job, which waits again, and
    another process is started. They write nothing, and are killed when this one has enough.

    Args:
        prepare: called with ``context`` in each process; what it returns does a job and yields reports.
        method: how processes are started, of ``multiprocessing``'s.
    """

    def __init__(
        self,
        prepare: Callable[[Context], Callable[[Job], Iterator[Report]]],
        context: Context,
        processes: int,
        method: str | None = None,
    ) -> None:
        self._start = multiprocessing.get_context(method)
        self._task = prepare, context
        self._members: dict[Connection, BaseProcess] = {}
        self._jobs: dict[Connection, Job] = {}
        self._ready: set[Connection] = set()
        self._replaced = 0
        for _ in range(processes):
            self._add()

    def _add(self) -> None:
        mine, theirs = self._start.Pipe()
        process = self._start.Process(target=_serve, args=(theirs, *self._task), daemon=True)  # type: ignore[attr-defined]
        with withheld_signals(self._start.get_start_method()):  # one that is spawned starts for seconds
            process.start()
        end_by_killing(process)
        theirs.close()  # only the process itself holds it now: its end is the pipe's
        self._members[mine] = process

    @property
    def is_busy(self) -> bool:
        return bool(self._jobs)

    def poll(self, waiting: deque[Job], timeout: float = 0.0) -> Iterator[tuple[Job, Report | None]]:
        """Hands out jobs from the left of ``waiting``, and collects what was reported within ``timeout`` seconds.

        Yields:
            (job, report) pairs; None in place of a report if whoever had the job was killed, or cannot help: it is
            now the first that waits, and whoever meets this may put there what is left of it.

        Raises:
            TrialError: processes are killed again and again. Whatever a job raised.
        """
        self._hand_out(waiting)
        for member in wait(list(self._jobs), timeout):
            assert isinstance(member, Connection)
            while member in self._jobs and member.poll():
                try:
                    is_over, value = member.recv()
                except GONE:
                    job = self._jobs.pop(member)
                    waiting.appendleft(job)
                    self._replace(member)
                    yield job, None
                    break
                if isinstance(value, CannotHelp):
                    job = self._jobs.pop(member)
                    waiting.appendleft(job)
                    log.warning("one process fewer helps this trial: %s", value)
                    self._let_go(member)
                    yield job, None
                    break
                if isinstance(value, BaseException):
                    raise value
                if member not in self._ready:  # that was its first word
                    self._ready.add(member)
                    self._send(member)
                elif is_over:
                    del self._jobs[member]
                else:
                    yield self._jobs[member], value
        self._hand_out(waiting)

    def _hand_out(self, waiting: deque[Job]) -> None:
        for member in self._members:
            if waiting and member not in self._jobs:
                self._jobs[member] = waiting.popleft()
                self._send(member)

    def _send(self, member: Connection) -> None:
        """Sends its job, once it is there to take it: a large one would hold up this process until then."""
        if member in self._ready:
            with contextlib.suppress(ConnectionError):  # the next word from it is that it is gone
                member.send(self._jobs[member])

    def _replace(self, member: Connection) -> None:
        """Starts another process in place of one that is gone, unless that has been done too often."""
        code = self._let_go(member)
        how = (
            f"was killed by {signal.Signals(-code).name} (out of memory?)" if code < 0 else f"ended with code {code}"
        )
        if self._replaced == _MOST_REPLACED:
            raise TrialError(
                f"a process that helps this trial {how}, as {_MOST_REPLACED} others were gone before; give the same"
                " command again to go on from what is done"
            )
        log.warning("a process that helps this trial %s; another takes its place", how)
        self._replaced += 1
        self._add()

    def _let_go(self, member: Connection) -> int:
        """Of one that is gone, or going; returns its exit code."""
        process = self._members.pop(member)
        self._ready.discard(member)
        member.close()
        process.join(_SECONDS_TO_END)
        process.kill()  # should it hang: its pipe is closed, so it is of no use to anybody
        process.join()
        return process.exitcode or 0

    def close(self) -> None:
        """Ends all of them at once, whatever they are at."""
        for process in self._members.values():
            process.kill()
        for connection, process in self._members.items():
            process.join()
            connection.close()
        self._members, self._jobs, self._ready = {}, {}, set()


def _serve(connection: Connection, prepare: Callable[[Any], Callable[[Any], Iterator[Any]]], context: Any) -> None:
    leave_signals_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        work = prepare(context)
        connection.send((True, None))
        while True:
            for report in work(connection.recv()):
                connection.send((False, report))
            connection.send((True, None))
    except (EOFError, ConnectionError):
        pass
    except SeqtrackError as error:
        connection.send((True, error))
    except BaseException as error:
        log.exception("in a process that helps")
        connection.send((True, _sendable(error)))


def _sendable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return TrialError(f"{type(error).__name__}: {error}")
    # One that ends a program ends the helper alone.
    return error if isinstance(error, Exception) else TrialError(f"{type(error).__name__}: {error}")


def leave_signals_to_parent() -> None:
    """In a child process, which has its parent's handlers: what asks to stop is the parent's to answer, even where it
    reaches every process of a job (scancel, preemption and the time limit of SLURM; Ctrl-C). None outlives a parent
    that was killed."""
    for number in ASK_TO_STOP:
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == "linux":
        parent_death_signal = 1  # PR_SET_PDEATHSIG, linux/prctl.h
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)


@contextlib.contextmanager
def withheld_signals(method: str) -> Iterator[None]:
    """What is started meanwhile, by this method of multiprocessing, never meets a signal that asks to stop; this
    process meets it afterwards."""
    if method != "fork":
        resource_tracker.ensure_running()  # the first spawn starts it, and that lets signals through again (3.11)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ASK_TO_STOP)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_by_killing(child: BaseProcess) -> None:
    """Of a child that leaves signals to its parent: DataLoader, and multiprocessing when Python ends, would send one
    that is still at work SIGTERM, and then wait for it."""
    process = weakref.proxy(child._popen)  # type: ignore[attr-defined]  # its descriptors close when nobody has it
    child._popen.terminate = lambda: process.kill()  # type: ignore[attr-defined]
