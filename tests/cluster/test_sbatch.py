"""Batch scripts, whole; how sbatch and bash read them; and the marks by which jobs are found again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtrack.cluster import slurm_flags
from seqtrack.cluster.sbatch import RUN as RUN_OF_TASK
from seqtrack.cluster.sbatch import SEED, BatchScript, job_comment, job_name, ranges, read_comment
from seqtrack.errors import UserError

RUN, TAG = "8743f099d265", "1a2b3c4d"
WORKER = ("/venv/bin/python", "-m", "seqtrack.tools.train_work", RUN, SEED)
FOLDER = Path("/home/ann/work")
OUTPUT = f"/home/ann/work/cache/{RUN}/slurm/%A_%a.out"
SEEDS = (0, 1, 2, 3, 4, 7)

TRAINING = BatchScript(
    name=job_name(RUN, "train"),
    comment=job_comment(RUN, "train", TAG, SEEDS),
    flags=slurm_flags.parse("--slurm_flags", ["partition=gpu", "time=4:00:00", "gres=gpu:1", "exclusive"]),
    command=WORKER,
    folder=FOLDER,
    output=OUTPUT,
    seeds=SEEDS,
    throttle=4,
    signal_seconds=120,
    environment={"OMP_NUM_THREADS": "2"},
)
TRAINING_TEXT = """\
#!/bin/bash
# seqtrack-8743f099d265-train: an array of 6 tasks, one for each of the seeds below, written by seqtrack
#SBATCH --job-name=seqtrack-8743f099d265-train
#SBATCH --comment="seqtrack run=8743f099d265 stage=train tag=1a2b3c4d seeds=0-4,7"
#SBATCH --chdir=/home/ann/work
#SBATCH --output=/home/ann/work/cache/8743f099d265/slurm/%A_%a.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --array=0-5%4
#SBATCH --signal=B:USR2@120
#SBATCH --partition=gpu
#SBATCH --time=4:00:00
#SBATCH --gres=gpu:1
#SBATCH --exclusive

export OMP_NUM_THREADS=2
seeds=(0 1 2 3 4 7)
# The command replaces this shell, so that SLURM's signal reaches it, and nothing else.
trap '' USR2  # until the command listens, it must not kill
exec /venv/bin/python -m seqtrack.tools.train_work 8743f099d265 "${seeds[$SLURM_ARRAY_TASK_ID]}"
"""

ASSESSMENT = BatchScript(
    name=job_name(RUN, "assess"),
    comment=job_comment(RUN, "assess", TAG, SEEDS),
    flags=slurm_flags.parse("--slurm_assess_flags", ["gpus=1"]),
    command=WORKER,
    folder=FOLDER,
    output=OUTPUT,
    seeds=SEEDS,
    dependency="aftercorr:4711",
)
ASSESSMENT_TEXT = """\
#!/bin/bash
# seqtrack-8743f099d265-assess: an array of 6 tasks, one for each of the seeds below, written by seqtrack
#SBATCH --job-name=seqtrack-8743f099d265-assess
#SBATCH --comment="seqtrack run=8743f099d265 stage=assess tag=1a2b3c4d seeds=0-4,7"
#SBATCH --chdir=/home/ann/work
#SBATCH --output=/home/ann/work/cache/8743f099d265/slurm/%A_%a.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --array=0-5
#SBATCH --dependency=aftercorr:4711
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --gpus=1

seeds=(0 1 2 3 4 7)
# The command replaces this shell, so that SLURM's signal reaches it, and nothing else.
exec /venv/bin/python -m seqtrack.tools.train_work 8743f099d265 "${seeds[$SLURM_ARRAY_TASK_ID]}"
"""

SUMMARY = BatchScript(
    name=job_name(RUN, "summary"),
    comment=job_comment(RUN, "summary", TAG),
    flags={},
    command=("/venv/bin/python", "-m", "seqtrack.tools.main", "summary", RUN),
    folder=FOLDER,
    output=f"/home/ann/work/cache/{RUN}/slurm/%j.out",
    dependency="afterany:4712",
)
SUMMARY_TEXT = """\
#!/bin/bash
# seqtrack-8743f099d265-summary: one job, written by seqtrack
#SBATCH --job-name=seqtrack-8743f099d265-summary
#SBATCH --comment="seqtrack run=8743f099d265 stage=summary tag=1a2b3c4d"
#SBATCH --chdir=/home/ann/work
#SBATCH --output=/home/ann/work/cache/8743f099d265/slurm/%j.out
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --dependency=afterany:4712
#SBATCH --kill-on-invalid-dep=yes

# The command replaces this shell, so that SLURM's signal reaches it, and nothing else.
exec /venv/bin/python -m seqtrack.tools.main summary 8743f099d265
"""

EVERYTHING = BatchScript(
    name=job_name(RUN, "train"),
    comment=job_comment(RUN, "train", TAG, range(100, 140)),
    flags=slurm_flags.parse(
        "--slurm_flags",
        [
            r"""comment=Ann's "thesis" #1, C:\data""", "exclude=node[1-3]", "account=vision", "signal=USR2@300",
            "constraint=a100&nvlink", "export=ALL,NAME=two words", "nodes=1", "hold",
        ],
    ),
    command=("/venv of ann/bin/python", "-c", "print('$HOME', \"`id`\")", "--name=a\\b", "", SEED, "*", "é"),
    folder=Path("/home/ann/my work #2"),
    output="/home/ann/my work #2/50%% \"quoted\"/%A_%a.out",
    seeds=tuple(range(100, 140)),
    throttle=1,
    dependency="afterok:4711_3:4711_5",
    signal_seconds=300,
    setup=("module load cuda/12.4  # as the site names it", 'ulimit -n "$(ulimit -Hn)"'),
    environment={"SEQTRACK_NOTE": "it's $HOME\nand `more`", "EMPTY": ""},
    exclude=("node7", "node9"),
)  # fmt: skip
EVERYTHING_TEXT = r"""#!/bin/bash
# seqtrack-8743f099d265-train: an array of 40 tasks, one for each of the seeds below, written by seqtrack
#SBATCH --job-name=seqtrack-8743f099d265-train
#SBATCH --comment="Ann's \"thesis\" #1, C:\\data seqtrack run=8743f099d265 stage=train tag=1a2b3c4d seeds=100-139"
#SBATCH --chdir="/home/ann/my work #2"
#SBATCH --output="/home/ann/my work #2/50%% \"quoted\"/%A_%a.out"
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --array=0-39%1
#SBATCH --dependency=afterok:4711_3:4711_5
#SBATCH --kill-on-invalid-dep=yes
#SBATCH --signal=B:USR2@300
#SBATCH --exclude=node[1-3],node7,node9
#SBATCH --account=vision
#SBATCH --constraint=a100&nvlink
#SBATCH --export="ALL,NAME=two words"
#SBATCH --nodes=1
#SBATCH --hold

export SEQTRACK_NOTE='it'"'"'s $HOME
and `more`'
export EMPTY=''
seeds=(100 101 102 103 104 105 106 107 108 109 110 111 112 113 114 115 116 117 118 119 120 121 122
       123 124 125 126 127 128 129 130 131 132 133 134 135 136 137 138 139)
module load cuda/12.4  # as the site names it
ulimit -n "$(ulimit -Hn)"
# The command replaces this shell, so that SLURM's signal reaches it, and nothing else.
trap '' USR2  # until the command listens, it must not kill
exec '/venv of ann/bin/python' -c 'print('"'"'$HOME'"'"', "`id`")' '--name=a\b' '' "${seeds[$SLURM_ARRAY_TASK_ID]}" '*' 'é'
"""  # noqa: E501

GOLDEN = {
    "training": (TRAINING, TRAINING_TEXT),
    "assessment": (ASSESSMENT, ASSESSMENT_TEXT),
    "summary": (SUMMARY, SUMMARY_TEXT),
    "everything": (EVERYTHING, EVERYTHING_TEXT),
}


@pytest.fixture(params=GOLDEN)
def golden(request: pytest.FixtureRequest) -> tuple[BatchScript, str]:
    return GOLDEN[request.param]


def test_an_array_over_trials_of_several_runs_has_a_list_of_each() -> None:
    """The only differences from an array over the seeds of one run."""
    sweep = replace(
        TRAINING,
        command=(*WORKER[:3], f"/home/ann/my work/cache/{RUN_OF_TASK}", SEED),
        seeds=(0, 1, 0, 1),
        runs=("8743f099d265", "8743f099d265", "0f12f099d265", "0f12f099d265"),
    )
    ours, theirs = sweep.text().splitlines(), TRAINING_TEXT.splitlines()
    assert [line for line in ours if line not in theirs] == [
        "# seqtrack-8743f099d265-train: an array of 4 tasks, one for each of the runs and seeds below, written by"
        " seqtrack",
        "#SBATCH --array=0-3%4",
        "runs=(8743f099d265 8743f099d265 0f12f099d265 0f12f099d265)",
        "seeds=(0 1 0 1)",
        "exec /venv/bin/python -m seqtrack.tools.train_work '/home/ann/my work/cache/'"
        '"${runs[$SLURM_ARRAY_TASK_ID]}" "${seeds[$SLURM_ARRAY_TASK_ID]}"',
    ]
    script = replace(sweep, command=("echo", f"/a folder/{RUN_OF_TASK}", SEED), signal_seconds=None)
    env = {"PATH": os.environ["PATH"], "SLURM_ARRAY_TASK_ID": "3"}
    answer = subprocess.run(["bash"], input=script.text(), env=env, capture_output=True, text=True, check=True)
    assert answer.stdout == "/a folder/0f12f099d265 1\n"


def test_the_whole_text(golden: tuple[BatchScript, str]) -> None:
    script, text = golden
    assert script.text() == text


def test_bash_can_parse_it(golden: tuple[BatchScript, str]) -> None:
    result = subprocess.run(["bash", "-n"], input=golden[0].text(), capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


# Bash: what the command gets -------------------------------------------------------------------------------------

REPORT = "import json, os, sys; print(json.dumps([os.getpid(), sys.argv[1:], dict(os.environ)]))"
INHERITED = {"PATH": os.environ["PATH"], "SLURM_ARRAY_TASK_ID": "38"}


def execute(script: BatchScript, tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    """Runs the script as a node does; the words and the environment that its command gets."""
    file = tmp_path / "script.sh"
    file.write_text(script.text(), encoding="utf-8")
    process = subprocess.Popen(["bash", str(file)], stdout=subprocess.PIPE, env=INHERITED, cwd=tmp_path, text=True)
    answer, _ = process.communicate()
    assert process.returncode == 0
    pid, words, environment = json.loads(answer)
    assert pid == process.pid, "the command replaces the shell, or the signal would not reach it"
    for name in ("_", "SHLVL", "PWD", "OLDPWD", "LC_CTYPE"):  # what bash and Python themselves set
        environment.pop(name, None)
    return words, environment


def test_the_command_gets_exactly_its_words_and_environment(tmp_path: Path) -> None:
    command = (sys.executable, "-c", REPORT, *EVERYTHING.command[3:])
    words, environment = execute(
        replace(EVERYTHING, command=command, setup=("export SETUP=$SEQTRACK_NOTE!",)), tmp_path
    )
    assert words == ["--name=a\\b", "", "138", "*", "é"]
    note = "it's $HOME\nand `more`"
    assert environment == {**INHERITED, "SEQTRACK_NOTE": note, "EMPTY": "", "SETUP": note + "!"}


@given(words=st.lists(st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])), max_size=5))
def test_any_word_reaches_the_command(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("script")
    assert execute(replace(SUMMARY, command=(sys.executable, "-c", REPORT, *words)), folder)[0] == words


@pytest.mark.parametrize(("index", "seed"), [(0, "0"), (4, "4"), (5, "7")])
def test_task_i_works_on_seed_i(index: int, seed: str) -> None:
    script = replace(TRAINING, command=("echo", SEED))
    env = {"PATH": os.environ["PATH"], "SLURM_ARRAY_TASK_ID": str(index)}
    answer = subprocess.run(["bash"], input=script.text(), env=env, capture_output=True, text=True, check=True)
    assert answer.stdout == f"{seed}\n"


# sbatch: what it reads -------------------------------------------------------------------------------------------


def as_sbatch_reads(line: str, *, since_24_05: bool) -> str:
    """get_argument of src/sbatch/opt.c, for a line with one option."""
    word, quote, i = "", "", 0
    while i < len(line) and (quote or not line[i].isspace()):
        if line[i] == "\\":
            i += 1
            if line[i : i + 1] == " " and not quote and not since_24_05:
                break
            word += line[i]
        elif quote and line[i] == quote:
            quote = ""
        elif not quote and line[i] in "\"'":
            quote = line[i]
        elif not quote and line[i] == "#":
            break
        else:
            word += line[i]
        i += 1
    assert not quote, "sbatch: fatal: unmatched quote"
    return word


HARD = [
    "plain", "two words", " both ends ", 'a "quoted" word', "it's", "#1", "a#b", "\\", "back\\slash", "\\ ", "ends\\",
    '\\"', "$HOME `id` %j", "tab\there", "é – 字", "a=b", "--x", ":", "",
]  # fmt: skip


@pytest.mark.parametrize("since_24_05", [False, True])
@given(value=st.text("ab \\\"'#\t=:%é\u3000") | st.sampled_from(HARD))
def test_every_value_survives_sbatchs_own_quoting(value: str, since_24_05: bool) -> None:
    lines = replace(SUMMARY, flags={"account": value}).text().splitlines()
    (line,) = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH --account")]
    assert as_sbatch_reads(line, since_24_05=since_24_05) == f"--account={value}"


@pytest.fixture
def slurm_conf(tmp_path: Path) -> Path:
    """Of a cluster that does not answer: sbatch reads the whole script before it notices."""
    if shutil.which("sbatch") is None:
        pytest.skip("needs SLURM's sbatch")
    conf = tmp_path / "slurm.conf"
    conf.write_text("ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=1\nNodeName=node1\n")
    return conf


def directives(script: BatchScript, conf: Path) -> Iterator[str]:
    """The options that the installed sbatch finds in a script; AssertionError if it refuses one."""
    env = {"PATH": os.environ["PATH"], "SLURM_CONF": str(conf)}
    process = subprocess.Popen(
        ["sbatch", "-vvv"], env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdin and process.stderr
    with process:
        process.stdin.write(script.text())
        process.stdin.close()
        accepted = False
        for line in process.stderr:
            if found := line.partition('Found in script, argument "')[2]:
                yield found.removesuffix('"\n')
            if accepted := "end of defined options" in line:
                break
        process.kill()
    assert accepted, "sbatch refuses an option"


def test_the_installed_sbatch_reads_every_option(golden: tuple[BatchScript, str], slurm_conf: Path) -> None:
    script, text = golden
    found = list(directives(script, slurm_conf))
    assert len(found) == text.count("#SBATCH ")
    if script is EVERYTHING:
        assert found == [
            "--job-name=seqtrack-8743f099d265-train",
            r"""--comment=Ann's "thesis" #1, C:\data seqtrack run=8743f099d265 stage=train tag=1a2b3c4d"""
            " seeds=100-139",
            "--chdir=/home/ann/my work #2",
            '--output=/home/ann/my work #2/50%% "quoted"/%A_%a.out',
            "--open-mode=append",
            "--requeue",
            "--array=0-39%1",
            "--dependency=afterok:4711_3:4711_5",
            "--kill-on-invalid-dep=yes",
            "--signal=B:USR2@300",
            "--exclude=node[1-3],node7,node9",
            "--account=vision",
            "--constraint=a100&nvlink",
            "--export=ALL,NAME=two words",
            "--nodes=1",
            "--hold",
        ]


def test_the_installed_sbatch_reads_hard_values_as_they_are(slurm_conf: Path) -> None:
    for value in HARD:
        found = list(directives(replace(SUMMARY, flags={"account": value}), slurm_conf))
        assert found[-1] == f"--account={value}"


# What is not said, and what is refused ---------------------------------------------------------------------------


def test_nothing_is_asked_of_slurm_that_nobody_asked_for() -> None:
    options = re.findall(r"^#SBATCH --([a-z-]+)", replace(SUMMARY, dependency=None).text(), re.MULTILINE)
    assert options == ["job-name", "comment", "chdir", "output", "open-mode", "requeue"]


def test_a_single_seed_is_an_array_of_one_task() -> None:
    lines = replace(TRAINING, seeds=(3,), throttle=None).text().splitlines()
    assert "#SBATCH --array=0" in lines
    assert "seeds=(3)" in lines
    assert lines[1].startswith("# seqtrack-8743f099d265-train: an array of 1 task, one for each")


@pytest.mark.parametrize(("ours", "seconds"), [(None, 60), (90, 90)])
def test_a_persons_signal_stands_where_there_is_none_of_ours(ours: int | None, seconds: int) -> None:
    lines = replace(SUMMARY, flags={"signal": "B:USR2@60"}, signal_seconds=ours).text().splitlines()
    assert [line for line in lines if "--signal" in line] == [f"#SBATCH --signal=B:USR2@{seconds}"]


def test_nodes_are_excluded_without_a_word_of_the_person() -> None:
    assert "#SBATCH --exclude=node2,node5\n" in replace(SUMMARY, exclude=("node2", "node5", "node2")).text()


@pytest.mark.parametrize("folder", ["/home/ann/two\nlines", "/home/ann/nul\0"])
def test_a_path_that_sbatch_cannot_read_is_a_persons_mistake(folder: str) -> None:
    with pytest.raises(UserError) as error:
        replace(SUMMARY, folder=Path(folder)).text()
    expected = f"--chdir={folder!r}: SLURM cannot read a line break in a path or a value; choose another"
    assert str(error.value) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": ()}, "command: expected at least one word"),
        ({"command": ("work", f"--seed={SEED}")}, "command: SEED is a word of its own"),
        ({"seeds": (), "throttle": None}, "seeds: a command for each seed, and a throttle, need some"),
        ({"runs": ("8743f099d265",) * 6}, "runs: one for each seed, where the command asks for it"),
        ({"command": (RUN_OF_TASK, SEED)}, "runs: one for each seed, where the command asks for it"),
        ({"seeds": (), "command": ("work",)}, "seeds: a command for each seed, and a throttle, need some"),
        ({"environment": {"A B": "1"}}, "environment: 'A B' is not the name of a variable"),
    ],
)
def test_what_makes_no_sense_cannot_be_constructed(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TRAINING, **change)  # type: ignore[arg-type]


# Marks -----------------------------------------------------------------------------------------------------------


def test_a_comment_says_whose_the_job_is() -> None:
    mark = f"seqtrack run={RUN} stage=train tag={TAG}"
    assert job_comment(RUN, "train", TAG, (0, 1, 2, 3, 4, 7)) == f"{mark} seeds=0-4,7"
    assert job_comment(RUN, "train", TAG) == mark


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((), ""),
        ((5,), "5"),
        ((0, 1), "0-1"),
        ((0, 1, 2, 3, 4, 7), "0-4,7"),
        ((9, 10, 11, 3, 4, 20), "9-11,3-4,20"),
        ((2, 1, 0), "2,1,0"),
        ((1, 1), "1,1"),
    ],
)
def test_neighbours_are_joined_and_the_order_is_kept(numbers: tuple[int, ...], text: str) -> None:
    assert ranges(numbers) == text


def expanded(text: str) -> list[int]:
    parts = [part.partition("-") for part in text.split(",") if part]
    return [number for first, _, last in parts for number in range(int(first), int(last or first) + 1)]


@given(st.lists(st.integers(0, 12) | st.integers(0, 10**6)))
def test_no_number_is_lost(numbers: list[int]) -> None:
    assert expanded(ranges(numbers)) == numbers


NAMES = st.text("0123456789abcdefXYZ_.-", min_size=1, max_size=30)


@given(NAMES, NAMES, NAMES, st.lists(st.integers(0, 10**9), max_size=300), st.text(max_size=20), st.text(max_size=20))
def test_a_mark_is_found_amid_other_words(
    run: str, stage: str, tag: str, seeds: list[int], before: str, after: str
) -> None:
    comment = job_comment(run, stage, tag, seeds)
    assert read_comment(f"{before} {comment} {after}") == {"run": run, "stage": stage, "tag": tag}
    assert read_comment(comment) == {"run": run, "stage": stage, "tag": tag}


@pytest.mark.parametrize(
    "text",
    ["", "mine", "seqtrack", f"seqtrack run={RUN}", f"seqtrack run={RUN} stage=train tag=",
     f"noseqtrack run={RUN} stage=train tag={TAG}"],
)  # fmt: skip
def test_the_comment_of_another_job_is_not_ours(text: str) -> None:
    assert read_comment(text) is None


def test_ours_comes_last_whatever_a_person_writes() -> None:
    other = job_comment("000000000000", "train", "0")
    lines = replace(TRAINING, flags={"comment": other}).text().splitlines()
    both = f"{other} seqtrack run={RUN} stage=train tag={TAG} seeds=0-4,7"
    assert f'#SBATCH --comment="{both}"' in lines
    assert read_comment(both) == {"run": RUN, "stage": "train", "tag": TAG}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=300))
def test_a_long_comment_is_cut_between_seeds_at_what_slurm_takes(seeds: list[int]) -> None:
    mark = f"seqtrack run={RUN} stage=train tag={TAG} seeds="
    comment = job_comment(RUN, "train", TAG, seeds)
    assert len(comment) <= 900
    listed = comment.removeprefix(mark)
    if listed.endswith("…"):
        kept = listed.removesuffix(",…")
        assert len(mark + ranges(seeds)) > 900
        assert ranges(seeds).startswith(kept + ",")
        assert len(comment) >= 900 - len(",1000000000-1000000000")
    else:
        assert expanded(listed) == seeds


@pytest.mark.parametrize("length", [12, 13])
def test_a_long_comment_has_as_many_seeds_as_fit(length: int) -> None:
    comment = job_comment("f" * length, "train", TAG, (1, 3, 5, 7, 9) * 100)  # two characters each
    assert len(comment) in (899, 900)
    assert comment.endswith(",…")


def test_both_comments_together_are_what_slurm_takes() -> None:
    flags = slurm_flags.parse("--slurm_flags", ["comment=" + "é" * 60])
    ours = job_comment(RUN, "train", TAG, range(0, 4000, 2))
    assert len(ours) > 890
    assert len(f"{flags['comment']} {ours}".encode()) <= 1024
