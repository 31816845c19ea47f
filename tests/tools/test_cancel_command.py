"""``seqtrack cancel``: a run or some of its trials are stopped, wherever they are, and nothing saved is lost."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from seqtrack.cluster import cancel
from seqtrack.cluster.cancel import Outcome, _stop_driver
from seqtrack.runs import attempts, events
from tests.gates import LINK, RENAME, Gate
from tests.handmade import attempt, hand_over, job, programs, train
from tests.workbench import PATIENCE_SECONDS, Result, Workbench, is_gone, results_of, wait_for


def state(bench: Workbench, seed: int) -> str:
    found = attempts.newest(bench.run_folder().trial(seed))
    end = attempts.ended(found) if found else None
    return "" if end is None else str(end["state"])


@pytest.mark.slow
def test_a_run_on_this_machine(bench: Workbench, finished: Workbench, gate: Callable[..., Gate]) -> None:
    second = gate(RENAME, "*/seed_0/checkpoints/step_00000010")
    first = bench.start_train("--num_trials=2", "--max_parallel=1", **second.environment)
    pid = second.wait(first)
    first.send_signal(signal.SIGINT)
    first.communicate()
    # The one that comes back has started none of the trials; it would start this one again.
    driver = bench.start_train("--num_trials=2", "--max_parallel=1")
    wait_for(lambda: len(events.read(bench.run_folder().submissions)) == 2, "command", driver)

    result = bench.run("cancel", "latest")

    assert result.code == 0, result
    assert result.out.splitlines() == [
        f"the command that started the trials (process {driver.pid}) was ended, so that it starts no more of them",
        f"seed 0: process {pid} was asked to stop; it saves first",
        "what is saved is kept; the same command goes on from there",
    ]
    _, err = driver.communicate(timeout=PATIENCE_SECONDS)
    assert driver.returncode == 130
    assert "give the same command again to come back" in err
    second.open()
    wait_for(lambda: is_gone(pid), "end of the worker")
    assert state(bench, 0) == "interrupted"
    assert max(bench.run_folder().trial(0).checkpoints()) == 11  # the step after the one that it was at
    assert not bench.run_folder().trial(1).path.exists()  # nobody started it

    assert bench.run("cancel", "latest").out == (
        f"nothing to cancel: nothing of run {bench.run_folder().run_id} is at work or in a queue\n"
    )
    # And the promise.
    assert bench.train("--num_trials=2").code == 0
    assert results_of(bench.run_folder()) == results_of(finished.run_folder())


@pytest.mark.slow
def test_one_trial_of_a_run(bench: Workbench, gate: Callable[..., Gate]) -> None:
    second = gate(RENAME, "*/seed_1/checkpoints/step_00000010")
    driver = bench.start_train("--num_trials=2", "--max_parallel=2", **second.environment)
    pid = second.wait(driver)

    result = bench.run("cancel", bench.run_folder().run_id, "--seed", "1")

    assert result.code == 0, result
    assert result.out.splitlines()[0] == f"seed 1: process {pid} was asked to stop; it saves first"
    second.open()
    driver.communicate()
    assert driver.returncode == 1  # one trial is not complete
    assert (state(bench, 0), state(bench, 1)) == ("done", "interrupted")


@pytest.mark.slow
def test_a_worker_that_has_only_just_been_started(bench: Workbench, gate: Callable[..., Gate]) -> None:
    """It has no attempt by which to find it yet."""
    claim = gate(LINK, "*/seed_0/attempts/0/owner.json")
    driver = bench.start_train("--num_trials=1", **claim.environment)
    pid = claim.wait(driver)

    result = bench.run("cancel", "latest")

    assert result.code == 0, result
    assert f"seed 0: process {pid} was asked to stop; it saves first" in result.out.splitlines()
    driver.communicate()
    claim.open()
    wait_for(lambda: is_gone(pid), "end of the worker")
    assert state(bench, 0) == "interrupted"
    assert list(bench.run_folder().trial(0).checkpoints()) == [1]


def test_a_driver_in_the_background_of_a_script_is_told_at_once_what_it_does_not_ignore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[int] = []
    send = psutil.Process.send_signal
    monkeypatch.setattr(psutil.Process, "send_signal", lambda self, number: (told.append(number), send(self, number)))
    driver = subprocess.Popen(["sleep", "infinity"], preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    _stop_driver(psutil.Process(driver.pid), print, Outcome())
    assert (told, driver.wait()) == ([signal.SIGTERM], -signal.SIGTERM)


def test_a_driver_that_ctrl_z_has_stopped_hears_it() -> None:
    driver = subprocess.Popen(["sleep", "infinity"])
    driver.send_signal(signal.SIGSTOP)
    wait_for(lambda: psutil.Process(driver.pid).status() == psutil.STATUS_STOPPED, "stop")
    outcome = Outcome()
    _stop_driver(psutil.Process(driver.pid), print, outcome)
    assert (driver.wait(), outcome) == (-signal.SIGINT, Outcome(stopped=1))


def test_a_driver_that_does_not_end_is_not_said_to_have_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cancel, "_ends", lambda process: False)
    driver = subprocess.Popen(["sleep", "infinity"])
    outcome = Outcome()
    _stop_driver(psutil.Process(driver.pid), print, outcome)
    driver.wait()
    assert capsys.readouterr().out == (
        f"the command that starts the trials (process {driver.pid}) does not end; kill it: kill -9 {driver.pid}\n"
    )
    assert outcome == Outcome(missed=1)


def test_nothing_to_cancel(continued: Workbench) -> None:
    run_id = continued.run_folder().run_id
    result = continued.call("cancel", run_id)
    assert result == Result(0, f"nothing to cancel: nothing of run {run_id} is at work or in a queue\n", "")
    result = continued.call("cancel", run_id, "--seed", "0", "1")
    assert result.out == f"nothing to cancel: nothing of seed 0-1 of run {run_id} is at work or in a queue\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: RUN"),
        (["nothing"], "RUN: no run 'nothing'"),
        (["latest", "--seed=7"], "has no trial 7; there are 0, 1"),
    ],
)
def test_mistakes_are_one_line(finished: Workbench, words: list[str], message: str) -> None:
    result = finished.call("cancel", *words)
    assert result.code == 2, result
    assert message in result.err
    assert len(result.err.splitlines()) == 1


def test_what_runs_on_another_machine_is_told(continued: Workbench) -> None:
    attempt(continued.run_folder().trial(0), train(), node="elsewhere")
    result = continued.call("cancel", "latest")
    assert result.code == 1, result
    assert result.out == "seed 0: process 4711 runs on elsewhere; give this command there\n"
    assert continued.call("cancel", "latest", "--seed=1").code == 0


# In SLURM's queue.


@pytest.fixture
def handed(continued: Workbench, patient: None) -> Workbench:
    """Seeds 2 to 5 handed to SLURM, and once more seed 2 by itself; somebody's job 99 is in the queue as well."""
    run = continued.run_folder()
    now = time.time()
    hand_over(
        run,
        job("10", "index", (), now),
        job("11", "train", (2, 3, 4, 5), now, "afterok:10"),
        job("12", "assess", (2, 3, 4, 5), now, "aftercorr:11"),
        job("13", "summary", (), now, "afterany:12"),
        job(None, "train", (2,), now),  # its submitter died before it could write down the id, 14
    )
    return continued


def slurm(folder: Path, *queue: str, scancel: str = "") -> dict[str, str]:
    """An environment in which scancel writes down what it is told."""
    lines = "\n".join(queue)
    return programs(folder, squeue=f"cat <<'END'\n{lines}\nEND", scancel=scancel or f'echo "$@" >> {folder}/told')


QUEUE = (
    "10|N/A|RUNNING|node1|None|seqtrack run=x stage=index tag=tag10index",
    "11|0|RUNNING|node1|None|seqtrack run=x stage=train tag=tag11train",
    "11|1-2|PENDING||Resources|a word of the site's own",
    "11|3|COMPLETING|node2|None|seqtrack run=x stage=train tag=tag11train",
    "12|0-3|PENDING||Dependency|seqtrack run=x stage=assess tag=tag12assess",
    "13|N/A|PENDING||Dependency|seqtrack run=x stage=summary tag=tag13summary",
    "14|0|PENDING||Priority|seqtrack run=x stage=train tag=tagNonetrain",
    "99|0-3|RUNNING|node3|None|seqtrack run=y stage=train tag=another",
)


def test_all_of_a_run_with_one_scancel(handed: Workbench, tmp_path: Path) -> None:
    result = handed.call("cancel", "latest", **slurm(tmp_path / "bin", *QUEUE))

    assert result.code == 0, result
    assert (tmp_path / "bin" / "told").read_text() == "10 11 12 13 14\n"
    assert result.out.splitlines() == [
        "cancelled index 10: 1 was at work",
        "cancelled train 11 of seeds 2-4: 1 was at work, 2 waited",
        "cancelled assess 12 of seeds 2-5: 4 waited",
        "cancelled summary 13: 1 waited",
        "cancelled train 14 of seed 2: 1 waited",
        "what is saved is kept; the same command goes on from there",
    ]


def test_some_trials_leave_the_jobs_of_the_run_alone(handed: Workbench, tmp_path: Path) -> None:
    result = handed.call("cancel", "latest", "--seed", "2", "4", **slurm(tmp_path / "bin", *QUEUE))

    assert result.code == 0, result
    assert (tmp_path / "bin" / "told").read_text() == "11_0 11_2 12_0 12_2 14_0\n"
    assert result.out.splitlines()[:3] == [
        "cancelled train 11 of seeds 2,4: 1 was at work, 1 waited",
        "cancelled assess 12 of seeds 2,4: 2 waited",
        "cancelled train 14 of seed 2: 1 waited",
    ]


def test_nothing_of_it_is_in_the_queue(handed: Workbench, tmp_path: Path) -> None:
    result = handed.call("cancel", "latest", **slurm(tmp_path / "bin", QUEUE[-1]))
    assert result.code == 0, result
    assert result.out.startswith("nothing to cancel")
    assert not (tmp_path / "bin" / "told").exists()


def test_scancel_says_no(handed: Workbench, tmp_path: Path) -> None:
    refuses = "echo 'scancel: error: Kill job error on job id 11: Access/permission denied' >&2; exit 1"
    result = handed.call("cancel", "latest", **slurm(tmp_path / "bin", *QUEUE, scancel=refuses))
    assert result.code == 1, result
    assert result.out == "scancel: scancel: error: Kill job error on job id 11: Access/permission denied\n"


def test_slurm_does_not_answer(handed: Workbench, tmp_path: Path) -> None:
    path = programs(tmp_path / "bin", squeue="exit 1", sbatch="exit 1")
    result = handed.call("cancel", "latest", **path)
    assert result.code == 1, result
    assert result.out == (
        "SLURM does not answer, so nothing was taken out of its queue (11_0 11_1 11_2 11_3); try again later\n"
    )
    (tmp_path / "empty").mkdir()
    result = handed.call("cancel", "latest", "--seed=3", PATH=str(tmp_path / "empty"))
    assert result.code == 1, result
    assert result.out == "there is no SLURM on this machine: cancel its jobs (11_1) from one of the cluster's\n"


def test_a_run_that_waits_for_room_is_topped_up_by_whoever_watches(handed: Workbench, tmp_path: Path) -> None:
    submissions = handed.run_folder().submissions
    submissions.write_text(submissions.read_text().replace('"slurm_max_submit": null', '"slurm_max_submit": 8'))
    result = handed.call("cancel", "latest", **slurm(tmp_path / "bin", *QUEUE))
    assert (
        "a command that still watches this run hands in what waits for room: end that too, with Ctrl-C" in result.out
    )


def test_a_worker_inside_slurm_is_left_to_scancel(continued: Workbench) -> None:
    """On a cluster of one machine its process is here too."""
    trial = continued.run_folder().trial(0)
    shutil.rmtree(trial.path / "attempts")
    attempt(trial, train(), is_here=True, job="11_0", node="node1")
    assert continued.call("cancel", "latest").out.startswith("nothing to cancel")
