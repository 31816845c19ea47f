"""What SLURM's client programs print, as it is read. The texts are those of SLURM 22.05."""

from __future__ import annotations

from seqtrack.cluster.slurm_queue import (
    Ending,
    Limits,
    QueuedTask,
    parse_endings,
    parse_indexes,
    parse_limits,
    parse_queue,
)

OURS = "seqtrack run=8743f099d265 stage=train tag=0593dc01 seeds=0-9"


def test_the_queue() -> None:
    text = (
        f"16|1|RUNNING|node1|None|mine {OURS}\n"
        f"16|2-3,7%2|PENDING||Priority|{OURS}\n"
        "17|N/A|PENDING||Dependency|somebody's | comment\n"
        "slurm_load_jobs error: a line that is none\n"
    )
    ours = {"run": "8743f099d265", "stage": "train", "tag": "0593dc01"}
    assert list(parse_queue(text)) == [
        QueuedTask("16", 1, "RUNNING", "node1", "", **ours),
        QueuedTask("16", 2, "PENDING", "", "Priority", **ours),
        QueuedTask("16", 3, "PENDING", "", "Priority", **ours),
        QueuedTask("16", 7, "PENDING", "", "Priority", **ours),
        QueuedTask("17", None, "PENDING", "", "Dependency"),
    ]
    assert [task.name for task in parse_queue(text)] == ["16_1", "16_2", "16_3", "16_7", "17"]


def test_indexes_of_an_array() -> None:
    assert parse_indexes("7") == [7]
    assert parse_indexes("0-2,4,8-12:2%3") == [0, 1, 2, 4, 8, 10, 12]
    assert parse_indexes("N/A") == parse_indexes("") == [None]
    # Should a list be cut all the same, what can be read of it counts.
    assert parse_indexes("0-2,4,6...") == [0, 1, 2, 4, 6]


def test_accounting() -> None:
    text = (
        "1_0|CANCELLED by 0|node1|0:0\n"
        "1_1|OUT_OF_MEMORY|node2|0:125\n"
        "2_[0-1,4%2]|PENDING|None assigned|0:0\n"
        "3|COMPLETED|node1|0:0\n"
    )
    waiting = Ending("PENDING", "", "0:0")
    assert parse_endings(text) == {
        "1_0": Ending("CANCELLED by 0", "node1", "0:0"),
        "1_1": Ending("OUT_OF_MEMORY", "node2", "0:125"),
        "2_0": waiting, "2_1": waiting, "2_4": waiting,
        "3": Ending("COMPLETED", "node1", "0:0"),
    }  # fmt: skip


def test_limits() -> None:
    assert parse_limits("MaxArraySize            = 1001\nMaxJobCount = 10000\n") == Limits(1001)
    text = "SchedulerParameters     = bf_interval=1,max_array_tasks=50\nMaxArraySize = 1001\n"
    assert parse_limits(text) == Limits(50)
    assert parse_limits("") == Limits(1001)
