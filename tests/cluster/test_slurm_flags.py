"""``--slurm_flags``: sbatch's options as a person may write them, and what is refused before anything starts."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.cluster.slurm_flags import OPTIONS, options_in_help, parse, signal_seconds, time_limit_seconds
from seqtrack.errors import UserError

# From `sbatch --help` of SLURM 22.05.8, shortened, with the section that a site's plugins add.
HELP = """\
Usage: sbatch [OPTIONS(0)...] [ : [OPTIONS(N)...]] script(0) [args(0)...]

Parallel run options:
  -a, --array=indexes         job array index values
      --cpu-freq=min[-max[:gov]] requested cpu frequency (and governor)
      --deadline=time         remove the job if no ending possible before
                              this deadline (start > (deadline - time[-min]))
      --export[=names]        specify environment variables to export
  -H, --hold                  submit job in held state
      --wrap[=command string] wrap command string in a sh script and submit

Consumable resources related options:
      --exclusive[=user]      allocate nodes in exclusive mode when
                              cpu consumable resource is enabled
      --mem-per-cpu=MB        maximum amount of real memory per allocated
                              cpu required by the job.
                              --mem >= --mem-per-cpu if --mem is specified.

Affinity/Multi-core options: (when the task/affinity plugin is enabled)
  -B  --extra-node-info=S[:C[:T]]  combine request of sockets per node,

Options provided by plugins:
      --container-image=[USER@][REGISTRY#]IMAGE[:TAG]|PATH
                              [pyxis] the image to use for the container
      --bee_gfs               a scratch folder for each job
"""


def mistake(*words: str) -> str:
    with pytest.raises(UserError) as error:
        parse("--slurm_flags", words)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_the_order_is_kept() -> None:
    flags = parse("--slurm_flags", ["partition=gpu", "time=4:00:00", "gres=gpu:1", "exclusive"])
    assert list(flags.items()) == [("partition", "gpu"), ("time", "4:00:00"), ("gres", "gpu:1"), ("exclusive", None)]
    assert parse("--slurm_flags", []) == {}


@pytest.mark.parametrize("word", ["cpus-per-task=4", "cpus_per_task=4", "--cpus-per-task=4", "c=4", "-c=4"])
def test_an_option_has_many_spellings_and_one_name(word: str) -> None:
    assert parse("--slurm_flags", [word]) == {"cpus-per-task": "4"}


def test_letters_are_case_sensitive_as_in_sbatch() -> None:
    assert parse("--slurm_flags", ["c=4", "C=a100"]) == {"cpus-per-task": "4", "constraint": "a100"}


def test_of_an_option_given_twice_the_later_one_wins_in_its_own_place() -> None:
    flags = parse("--slurm_flags", ["mem=4G", "qos=long", "--mem=8G"])
    assert list(flags.items()) == [("qos", "long"), ("mem", "8G")]


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("gres=gpu:a100:1,shard=2", "gres", "gpu:a100:1,shard=2"),
        ("gpus=1", "gpus", "1"),
        ("export=NONE", "export", "NONE"),
        ("exclusive=user", "exclusive", "user"),
        ("nice", "nice", None),
        ("hold", "hold", None),
        ("nodes=1", "nodes", "1"),
        ("nodes=1-1", "nodes", "1-1"),
        ("ntasks=1", "ntasks", "1"),
        ("comment=Ann's thesis, ±1", "comment", "Ann's thesis, ±1"),
        ("exclude=node[1-3,7]", "exclude", "node[1-3,7]"),
    ],
)
def test_values_are_the_sites_business(word: str, name: str, value: str | None) -> None:
    assert parse("--slurm_flags", [word]) == {name: value}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("partitoin=gpu", "'partitoin=gpu': sbatch has no option 'partitoin'; did you mean partition?"),
        ("Partition=gpu", "'Partition=gpu': sbatch has no option 'Partition'; did you mean partition?"),
        ("cpus_per_taks=4", "'cpus_per_taks=4': sbatch has no option 'cpus-per-taks'; did you mean cpus-per-task?"),
        (
            "zzz",
            "'zzz': sbatch has no option 'zzz'; expected one of account, acctg-freq, array, autocomplete, batch, bb,"
            " bbf, begin, chdir, cluster, cluster-constraint, clusters, …",
        ),
        ("", "'': expected key=value, such as partition=NAME"),
        ("=gpu", "'=gpu': expected key=value, such as partition=NAME"),
        ("--", "'--': expected key=value, such as partition=NAME"),
        ("partition", "'partition': expected partition=VALUE"),
        ("p", "'p': expected partition=VALUE"),
        ("partition=", "'partition=': expected partition=VALUE"),
        ("exclusive=", "'exclusive=': expected exclusive or exclusive=VALUE"),
        ("hold=yes", "'hold=yes': expected hold alone"),
        ("hold=", "'hold=': expected hold alone"),
        ("account=a\nb", r"'account=a\nb': expected account=VALUE, on one line and without control characters"),
        ("nice=\x1b[1m", r"'nice=\x1b[1m': expected nice or nice=VALUE, on one line and without control characters"),
        ("exclude=./bad", "'exclude=./bad': expected names of nodes, not a file of them, because"
         " --slurm_exclude_failed_nodes adds to them"),
        ("ntasks=4", "'ntasks=4': expected 1, because a trial is one process (cpus-per-task=N gives it more cores)"),
        ("N=2", "'N=2': expected 1, because a trial is one process (cpus-per-task=N gives it more cores)"),
        ("comment=" + "é" * 61, f"'comment={'é' * 61}': expected at most 120 bytes, because seqtrack adds its own"
         " comment"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_says_what_was_expected(word: str, message: str) -> None:
    assert mistake("mem=4G", word) == f"--slurm_flags: {message}"


def test_a_mistake_names_the_flag_that_it_was_made_in() -> None:
    with pytest.raises(UserError, match=r"^--slurm_assess_flags: 'mem': expected mem=VALUE$"):
        parse("--slurm_assess_flags", ["mem"])


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("array=0-3", "array itself: one task for each seed; use --num_trials, --first_seed and --slurm_throttle"),
        ("a=0-3", "array itself: one task for each seed; use --num_trials, --first_seed and --slurm_throttle"),
        (
            "dependency=afterok:1",
            "dependency itself: assessment waits for training, the summary for both; use begin=TIME to start later",
        ),
        ("J=mine", "job-name itself: it says run and stage; use --name to name the run"),
        ("output=log", "output itself: each task has a log of its own in the folder of its run"),
        ("open-mode=truncate", "open-mode itself: always append, so that a requeued task keeps its log"),
        ("test_only", "test-only itself: use --dry_run"),
        ("V", "version itself: run sbatch itself for that"),
        (
            "no-requeue",
            "no-requeue itself: every job is requeued, for that is how time limits and preemption are survived",
        ),
    ],
)
def test_what_seqtrack_sets_is_refused_with_what_to_use_instead(word: str, reason: str) -> None:
    assert mistake(word) == f"--slurm_flags: {word!r}: seqtrack sets {reason}"


@pytest.mark.parametrize(
    "name",
    [
        "array", "dependency", "kill-on-invalid-dep", "job-name", "output", "error", "input", "open-mode", "chdir",
        "wrap", "wait", "parsable", "test-only", "help", "usage", "version", "autocomplete", "quiet", "verbose",
        "requeue", "no-requeue", "external", "clusters", "cluster",
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", ["", "=1"])
def test_what_seqtrack_sets_is_refused_with_and_without_a_value(name: str, value: str) -> None:
    assert mistake(name + value).startswith(f"--slurm_flags: '{name}{value}': seqtrack sets {name} itself: ")


MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("90", 90 * MINUTE),
        ("90:00", 90 * MINUTE),
        ("1:30:00", 90 * MINUTE),
        ("1-6", DAY + 6 * HOUR),
        ("1-6:30", DAY + 6 * HOUR + 30 * MINUTE),
        ("2-00:00:00", 2 * DAY),
        ("0:30", MINUTE),  # SLURM rounds up to whole minutes
        ("1:01", 2 * MINUTE),
        ("0-0:0:1", MINUTE),
        ("0", None),
        ("00:00:00", None),
        ("UNLIMITED", None),
        ("infinite", None),
        ("-1", None),
    ],
)
def test_a_time_limit_is_read_as_sbatch_reads_it(time: str, seconds: int | None) -> None:
    flags = parse("--slurm_flags", [f"time={time}"])
    assert flags == {"time": time}
    assert time_limit_seconds(flags) == seconds


@pytest.mark.parametrize("time", ["soon", "4h", "1:2:3:4", "1-", "-5", "1-2-3", ":30", "1:", "1.5", " 5", "١٢"])
def test_a_malformed_time_is_refused_with_the_forms_there_are(time: str) -> None:
    assert mistake(f"time={time}") == (
        f"--slurm_flags: {f'time={time}'!r}: expected minutes, minutes:seconds, hours:minutes:seconds, days-hours,"
        " days-hours:minutes, days-hours:minutes:seconds or UNLIMITED"
    )


def test_without_a_time_the_limit_is_the_partitions() -> None:
    assert time_limit_seconds({}) is None


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ([], 120),
        (["time=UNLIMITED"], 120),
        (["time=1:00:00"], 120),
        (["time=8"], 120),
        (["time=4"], 60),
        (["time=1"], 15),
        (["time=0:01"], 15),
        (["signal=USR2@600", "time=1:00:00"], 600),
        (["signal=B:USR2@50", "time=1"], 50),
    ],
)
def test_the_trainer_is_told_two_minutes_ahead_or_a_quarter_of_a_short_limit_or_as_asked(
    words: list[str], seconds: int
) -> None:
    assert signal_seconds(parse("--slurm_flags", words)) == seconds


@pytest.mark.parametrize("word", ["signal=USR2@300", "signal=B:USR2@300", "--signal=B:USR2@0300"])
def test_the_signal_always_goes_to_the_batch_shell_which_the_trainer_replaces(word: str) -> None:
    assert parse("--slurm_flags", [word]) == {"signal": "B:USR2@300"}


@pytest.mark.parametrize(
    "value", ["USR1@60", "USR2", "B:USR2", "R:USR2@60", "12@60", "B:USR2@9", "B:USR2@65536", "USR2@1m"]
)
def test_no_other_signal_would_be_heard(value: str) -> None:
    assert mistake(f"signal={value}") == (
        f"--slurm_flags: 'signal={value}': expected B:USR2@SECONDS with 10 to 65535 seconds,"
        " which is what the trainer hears"
    )


def test_a_job_that_is_told_to_leave_when_it_starts_would_never_end() -> None:
    expected = "--slurm_flags: 'signal=B:USR2@300': expected less than the time limit of 300 seconds"
    assert mistake("signal=USR2@300", "time=5") == expected
    assert signal_seconds(parse("--slurm_flags", ["time=5", "signal=USR2@300", "time=5:01"])) == 300


def test_help_lists_options_and_not_what_explanations_mention() -> None:
    assert options_in_help(HELP) == {
        "array", "cpu-freq", "deadline", "export", "hold", "wrap", "exclusive", "mem-per-cpu", "extra-node-info",
        "container-image", "bee_gfs",
    }  # fmt: skip


def test_options_of_plugins_are_taken_by_the_plugins_own_spelling() -> None:
    words = ["container_image=nvcr.io#nvidia/pytorch", "bee-gfs", "mem=4G"]
    flags = parse("--slurm_flags", words, lambda: options_in_help(HELP))
    assert flags == {"container-image": "nvcr.io#nvidia/pytorch", "bee_gfs": None, "mem": "4G"}


def test_a_misspelt_option_of_a_plugin_is_named() -> None:
    with pytest.raises(UserError, match=r"no option 'container-imgae'; did you mean container-image\?$"):
        parse("--slurm_flags", ["container_imgae=x"], lambda: options_in_help(HELP))


def test_sbatch_is_not_asked_about_options_that_are_known() -> None:
    def ask() -> set[str]:
        raise AssertionError("asked")

    parse("--slurm_flags", [f"{name}=1" for name in ("mem", "gres", "p")], ask)
    with pytest.raises(UserError, match="one process"):
        parse("--slurm_flags", ["ntasks=2"], ask)


@given(st.lists(st.text(max_size=20) | st.sampled_from(sorted(OPTIONS)).map(lambda name: f"{name}=1"), max_size=4))
def test_whatever_is_said_is_read_or_refused_in_one_line(words: list[str]) -> None:
    try:
        flags = parse("--slurm_flags", words)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert set(flags) <= set(OPTIONS)
        again = [name if value is None else f"{name}={value}" for name, value in flags.items()]
        assert parse("--slurm_flags", again) == flags


@pytest.mark.skipif(shutil.which("sbatch") is None, reason="needs SLURM's sbatch")
def test_every_option_of_the_installed_sbatch_is_known(tmp_path: Path) -> None:
    conf = tmp_path / "slurm.conf"  # which sbatch insists on, even for its help; plugins of the site are not in it
    conf.write_text("ClusterName=none\nSlurmctldHost=localhost\nNodeName=node1\n")
    env = {"PATH": os.environ["PATH"], "SLURM_CONF": str(conf)}
    answer = subprocess.run(["sbatch", "--help"], env=env, capture_output=True, text=True, check=True)
    options = options_in_help(answer.stdout)
    assert len(options) > 80
    assert options - OPTIONS.keys() == set()
