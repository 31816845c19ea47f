"""Every way in which a job of a run may die on a cluster. Afterwards the same command gives the same bytes as a run
that nothing happened to, no trial has run twice at the same time, and nothing is left behind.

The reference is a run on this machine, without SLURM: where it runs changes no number.
"""

from __future__ import annotations

import os
import signal
import time

import pytest

from seqtrack.runs import attempts
from tests.slurm.slurmbench import SLURM, SlurmBench
from tests.workbench import NUM_STEPS, Result, Workbench, is_gone, results_of, wait_for

pytestmark = pytest.mark.slow
TWO = ["--num_trials=2", *SLURM]
PATIENCE = 300  # seconds for a command that waits for jobs; a few on an idle machine


@pytest.fixture
def bench(slurm_bench: SlurmBench, finished: Workbench) -> SlurmBench:
    return slurm_bench.adopt_indexes(finished)


@pytest.fixture
def expected(finished: Workbench) -> dict[str, bytes]:
    return results_of(finished.run_folder())


def ended(bench: SlurmBench, seed: int, attempt: int) -> str:
    end = attempts.ended(bench.trial(seed).attempt(attempt))
    return str(end["state"]) if end else "killed"


def told(bench: SlurmBench, err: str, seed: int) -> str:
    """Why it failed, by a command that shows the end of the log too."""
    owner = attempts.read_owner(bench.trial(seed).attempts()[-1])
    assert owner is not None
    first, *others = [line for line in err.splitlines() if line.startswith((f"seed {seed} failed: ", "  | "))]
    log = bench.trial(seed).attempts()[-1].log.read_text().splitlines()
    assert others
    assert [line.removeprefix("  | ") for line in others] == log[-len(others) :]
    return first.removeprefix(f"seed {seed} failed: ").replace(owner.node, "NODE")


@pytest.mark.parametrize("with_user_signal", [True, False])
def test_preempted_by_a_higher_partition(
    bench: SlurmBench, expected: dict[str, bytes], with_user_signal: bool
) -> None:
    """With SLURM's user signal or without, the step is ended and saved within the seconds that are left, and the
    job goes back into the queue and on from there. SIGTERM reaches the loader worker too."""
    cluster = bench.cluster
    # Without GraceTime SIGTERM goes out together with the warning, and may arrive before it.
    cluster.reconfigure(preempt_send_user_signal=with_user_signal, grace_time=60 if with_user_signal else 0)
    driver = bench.start_train(*TWO, "--num_workers=1", *bench.held(0, 1))
    bench.wait_until_held(0, 1)
    cluster.command(
        "sbatch", "--partition=urgent", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 2"
    )
    for seed in (0, 1):
        wait_for(lambda seed=seed: len(bench.trial(seed).attempts()) > 1, f"second start of seed {seed}")

    out, err = driver.communicate(timeout=PATIENCE)

    assert driver.returncode == 0, Result(driver.returncode, out, err)
    for seed in (0, 1):
        assert ended(bench, seed, 0) == "interrupted"
        # Told by the user signal it requeues itself; told by SIGTERM it leaves that to SLURM.
        assert ("equeue" in bench.trial(seed).attempt(0).log.read_text()) == with_user_signal
        first, second = bench.events(seed, "train")
        assert 0 == first["step"] < second["step"] <= NUM_STEPS
    assert len(bench.submitted("train")) == 1  # requeued, not submitted again
    bench.finish(TWO, expected)


def test_preempted_where_the_site_cancels(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """PreemptMode=CANCEL: nothing comes back by itself. The command says why, and given again submits anew."""
    cluster = bench.cluster
    cluster.reconfigure(preempt_mode="CANCEL")
    driver = bench.start_train(*TWO, *bench.held(0, 1))
    bench.wait_until_held(0, 1)
    cluster.command(
        "sbatch", "--partition=urgent", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"
    )
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 1, Result(driver.returncode, out, err)
    for seed in (0, 1):
        assert f"seed {seed} failed: preempted on node" in err
        assert ended(bench, seed, 0) == "interrupted"
    bench.finish(TWO, expected)
    assert bench.submitted("train") == [(0, 1), (0, 1)]


def test_the_time_limit_is_reached(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """USR2, some seconds before: the job saves, requeues itself, and goes on with its next time."""
    driver = bench.start_train(*TWO, "signal=B:USR2@170", *bench.held(0))
    bench.wait_until_held(0)
    bench.run_out_of_time("train", 0, attempt=0)
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, Result(driver.returncode, out, err)
    first, second = bench.events(0, "train")
    assert 0 == first["step"] < second["step"] <= NUM_STEPS
    assert bench.submitted("train") == [(0, 1)]
    bench.finish(TWO, expected)


def test_a_task_is_killed(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """SIGKILL, as the kernel's out-of-memory killer sends it: the cause is told, with the last lines of the log; its
    loader workers die with it; the same command goes on from the last periodic checkpoint."""
    driver = bench.start_train(*TWO, "--num_workers=1", *bench.held(1))
    bench.wait_until_held(1)
    victim = bench.at_work(1)
    children = victim.children(recursive=True)
    assert children
    victim.kill()
    for child in children:
        wait_for(lambda child=child: is_gone(child.pid), "the end of a loader worker")

    out, err = driver.communicate(timeout=PATIENCE)

    result = Result(driver.returncode, out, err)
    assert result.code == 1, result
    assert told(bench, err, 1) == "killed by SIGKILL on NODE (out of memory?); the same command goes on from step 10"
    assert "1 of 2 trials completed" in out
    bench.finish(TWO, expected)
    assert bench.submitted("train") == [(0, 1), (1,)]
    assert bench.submitted("assess") == [(0, 1), (1,)]
    steps = [event["step"] for event in bench.events(1, "train")]
    assert len(steps) == 2
    assert steps[1] >= 10


def test_a_task_is_cancelled(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    driver = bench.start_train(*TWO, *bench.held(0))
    bench.wait_until_held(0)
    bench.cluster.command("scancel", bench.task("train", 0))
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 1, Result(driver.returncode, out, err)
    assert "seed 0 failed: cancelled" in err
    assert "1 of 2 trials completed" in out
    bench.finish(TWO, expected)


@pytest.mark.parametrize("is_silent", [True, False])
def test_a_node_is_lost_under_a_trial(bench: SlurmBench, expected: dict[str, bytes], is_silent: bool) -> None:
    """SLURM gives up the node and starts the job elsewhere. If the node has not lost its power but is merely silent
    and still computes, what runs there finds itself superseded, and stops."""
    cluster = bench.cluster
    driver = bench.start_train(*TWO, *bench.held(0))
    bench.wait_until_held(0)
    owner = attempts.read_owner(bench.trial(0).attempt(0))
    assert owner is not None
    (cluster.kill_slurmd if is_silent else cluster.kill_node)(owner.node)
    # SLURM would find out by itself, in its own time.
    cluster.command("scontrol", "update", f"nodename={owner.node}", "state=down", "reason=lost")

    if is_silent:
        wait_for(lambda: len(bench.trial(0).attempts()) > 1, "start elsewhere")
        bench.release(0)
    out, err = driver.communicate(timeout=PATIENCE)

    assert driver.returncode == 0, Result(driver.returncode, out, err)
    nodes = [attempts.read_owner(a).node for a in bench.trial(0).attempts()]  # type: ignore[union-attr]
    assert nodes[0] == owner.node
    assert owner.node not in nodes[1:]
    if is_silent:
        wait_for(lambda: is_gone(owner.pid), "the end of the trial on the silent node")
    cluster.start_missing()
    bench.finish(TWO, expected, overlap=is_silent)
    # One may keep away from it from now on.
    result = bench.train("--num_trials=3", "--slurm_exclude_failed_nodes", *SLURM)
    assert result.code == 0, result
    (last,) = [job for job in bench.ledger if job.seeds == (2,) and job.stage == "train"]
    script = (bench.run_folder().slurm / f"{last.job_id}_submission.sh").read_text()
    assert f"#SBATCH --exclude={owner.node}\n" in script


def test_without_accounting_a_death_is_noticed_all_the_same(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    bench.cluster.reconfigure(accounting=False)
    driver = bench.start_train(*TWO, *bench.held(1))
    bench.wait_until_held(1)
    bench.at_work(1).kill()
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 1, Result(driver.returncode, out, err)
    assert told(bench, err, 1) == "killed without a word on NODE; the same command goes on from step 10"
    bench.finish(TWO, expected)


def test_sbatch_fails_twice_and_then_works(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    flaky = bench.program(
        "sbatch",
        "echo x >> calls; if [ $(wc -l < calls) -le 2 ]; then\n"
        'echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller" >&2\n'
        'exit 1; fi\nexec $REAL "$@"',
    )
    result = bench.train(*TWO, **flaky)
    assert result.code == 0, result
    assert result.out.count("sbatch failed (Batch job submission failed: Unable to contact slurm controller") == 2
    bench.check(expected)
    assert bench.submitted("train") == [(0, 1)]


def test_a_refusal_names_the_flag_that_asked_for_too_much(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """The trainings that SLURM took before go on; the mended command joins them."""
    result = bench.train(*TWO, "--slurm_assess_flags", "partition=nowhere")
    assert result.code == 2, result
    (train,) = [job for job in bench.ledger if job.job_id]
    (line,) = result.err.splitlines()
    assert line.startswith("error: --slurm_assess_flags: SLURM refuses the job: ")
    assert line.endswith(f"(already submitted, and going on: {train.job_id})")
    bench.finish(TWO, expected)
    assert bench.submitted("train") == [(0, 1)]


def test_a_site_that_has_enough_jobs_for_now_is_asked_again(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """A limit of the site's that strikes while the driver tops up the queue does not end the driver."""
    limited = bench.program(
        "sbatch",
        "echo x >> calls; if [ $(wc -l < calls) = 4 ]; then\n"
        'echo "sbatch: error: QOSMaxSubmitJobPerUserLimit" >&2; exit 1; fi\nexec $REAL "$@"',
    )
    # Room for one pair and its summary.
    result = bench.train(*TWO, "--slurm_max_submit=4", **limited)
    assert result.code == 0, result
    bench.check(expected)
    assert bench.submitted("train") == [(0,), (1,)]


def test_the_submitter_dies_right_after_sbatch(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """Its own record lacks the id of a job that SLURM has: the job is found again by its comment."""
    deadly = bench.program("sbatch", '$REAL "$@" > answer; kill -9 $PPID')
    result = bench.train(*TWO, **deadly)
    assert result.code == -signal.SIGKILL, result
    assert [(job.stage, job.job_id is None) for job in bench.ledger] == [("train", True)]

    bench.finish(TWO, expected)

    assert bench.submitted("train") == [(0, 1)]
    assert [len(bench.events(seed, "train")) for seed in (0, 1)] == [1, 1]


def test_the_same_command_twice_at_the_same_time(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    drivers = [bench.start_train(*TWO) for _ in range(2)]
    results = []
    for driver in drivers:
        out, err = driver.communicate(timeout=PATIENCE)
        results.append(Result(driver.returncode, out, err))
    assert [result.code for result in results] == [0, 0], "\n".join(map(str, results))
    bench.check(expected)
    assert bench.submitted("train") == [(0, 1)]
    assert bench.submitted("assess") == [(0, 1)]


def test_a_training_is_requeued_while_its_assessment_waits(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    driver = bench.start_train(*TWO, *bench.held(0))
    bench.wait_until_held(0)
    bench.cluster.command("scontrol", "requeue", bench.task("train", 0))
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, Result(driver.returncode, out, err)
    bench.check(expected)
    assert len(bench.events(0, "train")) == 2
    assert bench.submitted("assess") == [(0, 1)]


def test_a_run_of_another_account_is_left_to_it(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """Its jobs may be at work unseen."""
    result = bench.train(*TWO, "--detach")
    assert result.code == 0, result
    ledger = bench.run_folder().jobs
    os.chown(ledger, 12345, -1)
    result = bench.train(*TWO)
    assert result.code == 2, result
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: --cache_dir: run {bench.run_folder().run_id} was submitted by another account ")
    bench.cluster.wait_idle(PATIENCE)
    bench.check(expected)
    # What is finished may be read by anyone.
    assert bench.train(*TWO).code == 0


def test_an_assessment_waits_until_its_node_sees_what_was_trained(
    bench: SlurmBench, expected: dict[str, bytes]
) -> None:
    """NFS shows another node's new files up to a minute late."""
    driver = bench.start_train(*TWO, *bench.held(0, stage="assess", count=0))
    bench.wait_until_held(0)  # before it has looked at anything
    assert ended(bench, 0, 0) == "done"
    folder = bench.trial(0).path / "checkpoints"
    hidden = folder.rename(bench.folder / "not-seen-yet")
    bench.release(0)
    wait_for(lambda: len(bench.events(0, "imported")) == 2, "the assessment of seed 0")
    time.sleep(1.5)
    assert attempts.live(bench.trial(0)) is not None
    hidden.rename(folder)
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 0, Result(driver.returncode, out, err)
    bench.check(expected)


def test_the_disk_of_a_node_is_full(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """A person's mistake, told in one line; with another folder the same command goes on."""
    cluster = bench.cluster
    cluster.command(
        "srun", "--nodelist=node1", "sh", "-c", "mkdir -p /tmp/small && mount -t tmpfs -o size=16k tmpfs /tmp/small"
    )
    try:
        result = bench.train(*TWO, "nodelist=node1", "--untar", "--tmp_data_dir=/tmp/small")
        assert result.code == 2, result
        (line,) = result.err.splitlines()
        assert line.startswith("error: --tmp_data_dir: /tmp/small/original ")
        assert line.endswith("make room, or give another folder (seed 0, 1)")
        assert "0 of 2 trials completed" in result.out
    finally:
        cluster.command("srun", "--nodelist=node1", "sh", "-c", "umount /tmp/small && rmdir /tmp/small")
    bench.finish([*TWO, "--untar"], expected)


def test_a_killed_driver_leaves_the_jobs_to_themselves(bench: SlurmBench, expected: dict[str, bytes]) -> None:
    """And Ctrl-C says what goes on and how to come back."""
    driver = bench.start_train(*TWO, *bench.held(0, 1))
    bench.wait_until_held(0, 1)
    driver.send_signal(signal.SIGINT)
    out, err = driver.communicate(timeout=PATIENCE)
    assert driver.returncode == 130, Result(driver.returncode, out, err)
    run_id = bench.run_folder().run_id
    first, *_, last = err.splitlines()
    assert first == f"run {run_id} goes on in SLURM: 2 training, 2 assessment, 1 summary"
    assert last == f"  seqtrack cancel {run_id}"
    killed = bench.start_train(*TWO)
    time.sleep(1.5)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    bench.release(0, 1)
    bench.cluster.wait_idle(PATIENCE)
    # The summary job was the last: everything is there without any driver.
    bench.check(expected)
    assert bench.train(*TWO).code == 0
    assert bench.submitted("train") == [(0, 1)]
