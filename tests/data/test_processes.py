"""Work shared among processes."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from seqtrack.data.processes import Crew, in_order
from seqtrack.errors import DataError, SeqtrackError


def add(context: int, job: int) -> tuple[int, int]:
    return context + job, os.getpid()


def fail(context: int, job: int) -> int:
    if job == context:
        raise DataError("this one")
    return job


def die(context: int, job: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def handlers(context: int, job: int) -> bool:
    return all(signal.getsignal(n) is signal.SIG_IGN for n in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2))


@pytest.mark.parametrize("processes", [0, 1, 3])
def test_results_come_in_the_order_of_the_jobs(processes: int) -> None:
    results = list(in_order(add, 10, range(50), processes))
    assert [result for result, _ in results] == list(range(10, 60))
    assert (os.getpid() in {process for _, process in results}) == (processes == 0)


def test_jobs_are_taken_a_few_ahead_of_the_results_not_all_at_once() -> None:
    taken = []

    def jobs() -> Iterator[int]:
        for job in range(100):
            taken.append(job)
            yield job

    results = in_order(add, 0, jobs(), 2)
    next(results)
    assert len(taken) == 8
    results.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("processes", [0, 2])
def test_a_mistake_is_raised_when_its_turn_comes(processes: int) -> None:
    results = in_order(fail, 2, range(9), processes)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(DataError, match="this one"):
        next(results)


def test_a_process_that_is_killed_is_said_so_in_a_line() -> None:
    with pytest.raises(
        SeqtrackError, match=r"^a worker process was killed \(out of memory\?\); give the command again"
    ):
        list(in_order(die, 0, range(3), 2))


LARGE = 1 << 20  # bytes; more than a pipe holds


def die_inside_a_large_answer() -> None:
    """In the process that calls this: the end when half of it is sent."""
    send = Connection._send  # type: ignore[attr-defined]

    def half(self: Connection, data: memoryview) -> None:
        if len(data) < LARGE:  # the length comes first
            send(self, data)
        else:
            send(self, data[: LARGE // 2])
            os.kill(os.getpid(), signal.SIGKILL)

    Connection._send = half  # type: ignore[attr-defined]


def large_or_dead(context: int, job: int) -> bytes:
    if job == context:
        die_inside_a_large_answer()
    return bytes(LARGE)


def test_one_that_is_killed_while_it_answers_holds_up_nobody() -> None:
    """A queue that all answer through would stay locked."""
    results = in_order(large_or_dead, 0, range(4), 2)
    with pytest.raises(SeqtrackError, match=r"was killed"):
        for _ in results:
            pass


def reports_or_dead(first: Path) -> Callable[[int], Iterator[bytes]]:
    def work(job: int) -> Iterator[bytes]:
        if not first.exists():
            first.touch()
            die_inside_a_large_answer()
        yield bytes(LARGE)

    return work


def test_the_job_of_one_that_is_killed_while_it_reports_is_done_again(tmp_path: Path) -> None:
    crew = Crew(reports_or_dead, tmp_path / "first", 1)
    waiting, reports = deque([7]), []
    while len(reports) < 2:
        reports += crew.poll(waiting, 1.0)
    crew.close()
    assert reports == [(7, None), (7, bytes(LARGE))]


def test_or_what_is_left_of_it(tmp_path: Path) -> None:
    crew = Crew(reports_or_dead, tmp_path / "first", 1)
    waiting, reports = deque([7]), []
    while len(reports) < 2:
        for job, report in crew.poll(waiting, 1.0):
            if report is None:
                waiting[0] = 8
            reports.append((job, report))
    crew.close()
    assert reports == [(7, None), (8, bytes(LARGE))]


def ready_when_let(let: Path) -> Callable[[bytes], Iterator[int]]:
    while not let.exists():
        time.sleep(0.005)
    return lambda job: iter([len(job)])


def test_a_large_job_is_not_waited_with_for_one_that_is_starting(tmp_path: Path) -> None:
    """On a GPU that takes ten seconds, in which whoever hands it out has something else to do."""
    crew = Crew(ready_when_let, tmp_path / "let", 1)
    waiting, reports = deque([bytes(LARGE)]), list[tuple[bytes, int | None]]()
    assert list(crew.poll(waiting)) == []
    assert (list(waiting), crew.is_busy) == ([], True)
    (tmp_path / "let").touch()
    while not reports:
        reports += crew.poll(waiting, 1.0)
    crew.close()
    assert reports == [(bytes(LARGE), LARGE)]


def test_one_that_is_starting_leaves_signals_to_its_parent_already(tmp_path: Path) -> None:
    """scancel and Ctrl-C reach it as well; as a fault of the trial they would make it fail."""
    (tmp_path / "let").touch()
    crew = Crew(ready_when_let, tmp_path / "let", 1, "spawn")
    waiting, reports = deque([b"job"]), []
    (process,) = multiprocessing.active_children()
    assert process.pid
    os.kill(process.pid, signal.SIGTERM)
    while not reports:
        reports += crew.poll(waiting, 1.0)
    crew.close()
    assert reports == [(b"job", 3)]


def unsendable(context: int, job: int) -> object:
    return lambda: job


def test_a_result_that_cannot_be_sent_is_an_error_and_no_silence() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError, SeqtrackError)):
        list(in_order(unsendable, 0, range(2), 1))


def test_what_asks_to_stop_is_left_to_the_process_that_takes_the_results() -> None:
    assert list(in_order(handlers, 0, range(2), 1)) == [True, True]


ENDS_MEANWHILE = """
import time
from seqtrack.data.processes import in_order

results = in_order(lambda context, job: time.sleep(1000 * job), None, range(2), 1, "fork")
next(results)
raise SystemExit("enough")  # results are held, and not closed
"""


def test_they_are_not_waited_for_when_python_ends() -> None:
    """multiprocessing sends them SIGTERM then, which they ignore."""
    ended = subprocess.run([sys.executable, "-c", ENDS_MEANWHILE], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (1, "enough\n")


WITHHELD = """
import multiprocessing, signal
from seqtrack.data.processes import ASK_TO_STOP, withheld_signals

with withheld_signals("spawn"):
    multiprocessing.get_context("spawn").Semaphore()  # the first thing that has to be tracked
    print({*ASK_TO_STOP} <= signal.pthread_sigmask(signal.SIG_BLOCK, []))
print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_what_is_spawned_first_meets_no_signal_either() -> None:
    """Python's resource tracker, which is started for it, would let them through again."""
    ended = subprocess.run([sys.executable, "-c", WITHHELD], capture_output=True, text=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("True\nset()\n", "")
