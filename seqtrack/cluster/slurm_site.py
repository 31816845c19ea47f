"""What a SLURM site is configured to do, read from what its client commands print.

In any release: unknown lines are passed over, and what is missing counts as SLURM's default. All of it is pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Record = Mapping[str, str]

_UNSET = ("", "(null)", "N/A", "NONE", "UNLIMITED", "INFINITE")
_UNUSABLE = ("DOWN", "DRAIN", "FAIL", "ERROR", "NOT_RESPONDING", "UNKNOWN", "INVAL")


@dataclass(frozen=True)
class Site:
    """What a controller says of its cluster, by SLURM's own names; what is unset is missing.

    Attributes:
        associations: of this person; None where accounting does not answer.
        qos: all there are; None likewise.
    """

    config: Record = field(default_factory=dict)
    partitions: Sequence[Record] = ()
    nodes: Sequence[Record] = ()
    associations: Sequence[Record] | None = None
    qos: Sequence[Record] | None = None

    def plugin(self, *names: str) -> str:
        """``slurmdbd`` of ``AccountingStorageType = accounting_storage/slurmdbd``; empty for none.

        Of several names, as releases change them, the first that is set counts.
        """
        value = next((self.config[name] for name in names if name in self.config), "")
        return value.rpartition("/")[2].removesuffix("none")

    def number(self, name: str, default: int) -> int:
        """Of a setting such as ``KillWait = 30 sec``."""
        found = re.match(r"\d+", self.config.get(name, ""))
        return int(found.group()) if found else default

    def options(self, name: str) -> dict[str, str]:
        """Of a setting such as ``AuthInfo = socket=/run/munge,cred_expire=60``, in lower case."""
        words = (word.strip().partition("=") for word in self.config.get(name, "").lower().split(","))
        return {option: value for option, _, value in words if option}


@dataclass(frozen=True)
class Victim:
    """A partition or QOS whose jobs may be preempted.

    Attributes:
        mode: ``REQUEUE``, ``CANCEL`` or ``SUSPEND``.
        grace: seconds between the decision and the end of the job.
    """

    name: str
    mode: str
    grace: int


def parse_config(text: str) -> dict[str, str]:
    """``scontrol show config``: ``Name = value`` a line."""
    pairs = [line.partition("=") for line in text.splitlines() if "=" in line]
    # Reversed, so that of two lines the first counts: what follows are other files, such as cgroup.conf.
    found = {name.strip(): value.strip() for name, _, value in reversed(pairs)}
    return {name: value for name, value in found.items() if value not in _UNSET}


def parse_records(text: str, first: str) -> list[dict[str, str]]:
    """``scontrol show partition`` or ``node``: records of ``Name=value`` words, each beginning with ``first``.

    Of a value with spaces (the system of a node, why it is down) only the first word is read.
    """
    found = []
    for record in re.split(rf"^(?={first}=)", text, flags=re.MULTILINE):
        words = re.findall(r"(?:^|\s)(\w+)=(\S+)", record)
        found.append({name: value for name, value in words if value not in _UNSET})
    return [record for record in found if first in record]


def parse_table(text: str) -> list[dict[str, str]]:
    """``sacctmgr -P``: a line of names, then a line of values for each row; what is empty is left out."""
    lines = [line.split("|") for line in text.splitlines() if "|" in line]
    return [{name: value for name, value in zip(lines[0], line, strict=False) if value} for line in lines[1:]]


def parse_gpus(gres: str) -> dict[str, int]:
    """How many of each kind a node has: of ``gpu:a100:4(S:0-1),gpu:2``, 4 of ``gpu:a100`` and 2 of ``gpu``."""
    found: dict[str, int] = {}
    for word in re.sub(r"\(.*?\)", "", gres).split(","):
        name, *rest = word.split(":")
        if name != "gpu":
            continue
        count = int(rest.pop()) if rest and rest[-1].isdigit() else 1
        kind = ":".join([name, *rest])
        found[kind] = found.get(kind, 0) + count
    return found


def parse_seconds(time: str) -> int:
    """Of ``1-12:00:00``, ``00:05:00`` or ``300``; 0 of anything else."""
    if not re.fullmatch(r"(\d+-)?\d+(:\d+)*", time):
        return 0
    parts = [int(part) for part in time.replace("-", ":").split(":")]
    return sum(count * unit for count, unit in zip(reversed(parts), (1, 60, 3600, 86400), strict=False))


def is_usable(node: Record) -> bool:
    """Whether jobs get this node sooner or later; ``*`` behind a state says that it does not respond."""
    state = node.get("State", "UNKNOWN")
    return not state.endswith("*") and not any(word.startswith(_UNUSABLE) for word in state.split("+"))


def victims(site: Site) -> list[Victim]:
    """Whose jobs may be preempted here."""
    by = {"qos": _victims_by_qos, "partition_prio": _victims_by_partition}.get(site.plugin("PreemptType"))
    return [victim for victim in by(site) if victim.mode != "OFF"] if by else []


def _victims_by_partition(site: Site) -> list[Victim]:
    """Partitions that share a node with one of a higher tier."""
    tiers = {p["PartitionName"]: int(p.get("PriorityTier", 1)) for p in site.partitions}
    neighbours = [[name for name in node.get("Partitions", "").split(",") if name in tiers] for node in site.nodes]
    below = {name for names in neighbours for name in names if tiers[name] < max(tiers[other] for other in names)}
    return [
        Victim(p["PartitionName"], _mode(p.get("PreemptMode", "OFF")), int(p.get("GraceTime", 0)))
        for p in site.partitions
        if p["PartitionName"] in below
    ]


def _victims_by_qos(site: Site) -> list[Victim]:
    """QOS that another one may preempt."""
    rows = [row for row in site.qos or () if "Name" in row]
    below = {name for row in rows for name in row.get("Preempt", "").split(",")}
    general = site.config.get("PreemptMode", "OFF")
    return [
        Victim(
            f"QOS {row['Name']}",
            _mode(general if row.get("PreemptMode", "cluster") == "cluster" else row["PreemptMode"]),
            parse_seconds(row.get("GraceTime", "0")),
        )
        for row in rows
        if row["Name"] in below
    ]


def _mode(text: str) -> str:
    """What becomes of the job; GANG and WITHIN say only when."""
    return next((word for word in text.upper().split(",") if word not in ("GANG", "WITHIN")), "OFF")
