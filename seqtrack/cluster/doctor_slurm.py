"""What a SLURM site does, and what that means for a run."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from seqtrack.cluster import slurm_queue
from seqtrack.cluster.doctor import BAD, COMMAND_SECONDS, NOTE, OK, WARN, Answer, Check, Finding, ask
from seqtrack.cluster.slurm_flags import signal_seconds
from seqtrack.cluster.slurm_site import (
    Record,
    Site,
    is_usable,
    parse_config,
    parse_gpus,
    parse_records,
    parse_seconds,
    parse_table,
    victims,
)
from seqtrack.schema import counted

ENOUGH_SECONDS = 20  # to end a step and write a checkpoint to a slow disk
SLOW_ANSWER_SECONDS = 2.0
CREDENTIAL_SECONDS = 120  # the life of a munge credential
SHOWN = 3  # partitions or kinds of GPU: large sites have dozens


def checks(is_asked_for: bool) -> list[Check]:
    """Nothing where there is no SLURM, unless it is asked for."""
    if is_asked_for or slurm_queue.is_installed():
        return [Check("SLURM", lambda: _slurm(is_asked_for), 2 * COMMAND_SECONDS + 5)]
    return []


def _slurm(is_asked_for: bool) -> list[Finding]:
    if not slurm_queue.is_installed():
        means = "train without --slurm, or give the command where sbatch works"
        return [Finding(BAD, "controller", "no SLURM on this machine", means)]
    # Alone and first: of a dead controller each command would wait for an answer, ten seconds.
    ping = ask(["scontrol", "ping"])
    if "is UP" not in ping.out:
        return [judge_silence(ping, is_asked_for)]
    commands = [
        ["scontrol", "show", "config"],
        ["scontrol", "show", "partition"],
        ["scontrol", "show", "node"],
        ["sacctmgr", "-P", "show", "assoc", f"user={_user()}"],
        ["sacctmgr", "-P", "show", "qos"],
    ]
    with ThreadPoolExecutor(len(commands)) as pool:
        config, partitions, nodes, associations, qos = pool.map(ask, commands)
    if config.problem:
        return [judge_silence(config, is_asked_for)]
    site = Site(
        parse_config(config.out),
        parse_records(partitions.out, "PartitionName"),
        parse_records(nodes.out, "NodeName"),
        None if associations.problem else parse_table(associations.out),
        None if qos.problem else parse_table(qos.out),
    )
    return [judge_controller(site, max(ping.seconds, config.seconds)), *judge_site(site)]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a uid without an account, as containers have
        return str(os.getuid())


def judge_silence(answer: Answer, is_asked_for: bool) -> Finding:
    """No controller answers."""
    sign = BAD if is_asked_for else NOTE
    if "is DOWN" in answer.out:
        return Finding(sign, "controller", "down", "jobs that run go on, but none can be submitted: try again later")
    if re.search(r"configuration source|slurm\.conf|fetch config", answer.problem):
        means = "train without --slurm, or give the command where sbatch works (SLURM_CONF)"
        return Finding(sign, "controller", "none: SLURM is installed, not configured", means)
    found = answer.problem.removeprefix("scontrol: ").removeprefix("error: ")
    return Finding(sign, "controller", found, "no job can be submitted now: try again later")


def judge_controller(site: Site, seconds: float) -> Finding:
    version, name = site.config.get("SLURM_VERSION", "of unknown version"), site.config.get("ClusterName", "?")
    found = f"SLURM {version} of {name}, answers in {seconds:.2f} s"
    if seconds > SLOW_ANSWER_SECONDS:
        return Finding(NOTE, "controller", found, "busy: submitting and following jobs takes longer")
    return Finding(OK, "controller", found, "jobs can be submitted from here")


def judge_site(site: Site) -> list[Finding]:
    return [
        judge_partitions(site),
        judge_gpus(site),
        judge_arrays(site),
        judge_accounting(site),
        *judge_limits(site),
        *judge_preemption(site),
        judge_requeue(site),
        judge_tmp(site),
        judge_isolation(site),
        *judge_plugins(site),
    ]


def judge_partitions(site: Site) -> Finding:
    up = sorted((p for p in site.partitions if p.get("State") == "UP"), key=_is_default, reverse=True)
    if not up:
        return Finding(WARN, "partitions", "none is up", "jobs would wait for ever: ask the site")
    usable = sum(map(is_usable, site.nodes))
    found = _some([_partition(p) for p in up])
    if site.nodes:  # some sites hide them (PrivateData)
        found += f"; {usable} of {counted(len(site.nodes), 'node')} up"
    if site.nodes and not usable:
        return Finding(WARN, "partitions", found, "jobs wait until a node is up")
    if not _is_default(up[0]):
        return Finding(NOTE, "partitions", found, "there is no default: --slurm_flags partition=NAME time=LIMIT")
    if "DefaultTime" in up[0]:
        means = f"--slurm_flags time=LIMIT, or a job is requeued after {_span(up[0]['DefaultTime'])}"
        return Finding(OK, "partitions", found, means)
    return Finding(OK, "partitions", found, "--slurm_flags partition=NAME time=LIMIT")


def _is_default(partition: Record) -> bool:
    return partition.get("Default") == "YES"


def _partition(partition: Record) -> str:
    name = partition["PartitionName"] + ("*" if _is_default(partition) else "")
    return f"{name} {_span(partition['MaxTime'])}" if "MaxTime" in partition else f"{name} without limit"


def judge_gpus(site: Site) -> Finding:
    nodes: dict[str, list[int]] = {}
    for node in site.nodes:
        for kind, count in parse_gpus(node.get("Gres", "")).items():
            nodes.setdefault(kind, []).append(count)
    if not nodes:
        return Finding(NOTE, "GPUs", "none that SLURM knows of", "trials use the CPU, unless the site says otherwise")
    kinds = sorted(nodes, key=lambda kind: -sum(nodes[kind]))
    found = [f"{kind} {_range(nodes[kind])} ({counted(len(nodes[kind]), 'node')})" for kind in kinds]
    typed = [f", or gres={kind}:1 for that kind" for kind in kinds if ":" in kind]
    return Finding(OK, "GPUs", _some(found), "--slurm_flags gres=gpu:1" + "".join(typed[:1]))


def judge_arrays(site: Site) -> Finding:
    if site.config.get("MaxArraySize") == "0":
        return Finding(BAD, "arrays", "switched off (MaxArraySize=0)", "--slurm submits arrays: ask the site")
    # As it is read when a run is submitted.
    limits = slurm_queue.parse_limits("\n".join(f"{name} = {value}" for name, value in site.config.items()))
    found = f"{limits.max_array_size:,} tasks each, {site.number('MaxJobCount', 10000):,} jobs of everybody"
    return Finding(OK, "arrays", found, "more seeds than that are split into several arrays")


def judge_accounting(site: Site) -> Finding:
    kind = site.plugin("AccountingStorageType")
    otherwise = "why a task died is known only from the queue and from its log"
    if not kind:
        return Finding(NOTE, "accounting", "none", otherwise)
    if site.associations is None:
        return Finding(WARN, "accounting", f"{kind}, which does not answer", otherwise)
    return Finding(OK, "accounting", kind, "it says why a task died: time, memory, its node")


def judge_limits(site: Site) -> list[Finding]:
    """On this person's jobs, by association and by QOS; what an account shares is not looked at."""
    if not site.associations or not {"limits", "safe", "all"} & site.options("AccountingStorageEnforce").keys():
        return []
    rows = [(f"account {row.get('Account', '?')}", row) for row in site.associations]
    names = {name for row in site.associations for name in row.get("QOS", "").split(",")}
    rows += [(f"QOS {row['Name']}", row) for row in site.qos or () if row.get("Name") in names]
    in_queue = _lowest(rows, "MaxSubmit", "MaxSubmitPU", "MaxSubmitJobs", "MaxSubmitJobsPU", "GrpSubmit")
    running = _lowest(rows, "MaxJobs", "MaxJobsPU", "GrpJobs")
    if in_queue:
        most, where = in_queue
        means = f"for more seeds than that --slurm_max_submit={max(3, most)}"
        return [Finding(NOTE, "your limits", f"{counted(most, 'job')} in the queue ({where})", means)]
    if running:
        most, where = running
        found = f"{counted(most, 'job')} at a time ({where})"
        return [Finding(OK, "your limits", found, "further tasks wait for their turn")]
    return [Finding(OK, "your limits", "none on the number of jobs", "--slurm_max_submit is not needed")]


def _lowest(rows: Sequence[tuple[str, Record]], *names: str) -> tuple[int, str] | None:
    found = [(int(row[name]), where) for where, row in rows for name in names if row.get(name, "").isdigit()]
    return min(found, default=None)


_PREEMPTION = {
    "CANCEL": (WARN, "such a job is not requeued: give the same command again and the trial goes on"),
    "REQUEUE": (OK, "a preempted trial is requeued and goes on from where it saved"),
    "SUSPEND": (NOTE, "a suspended trial goes on where it was, and is silent meanwhile"),
}


def judge_preemption(site: Site) -> list[Finding]:
    """How jobs are preempted, and how much time they have to save when they are ended."""
    found, kill = victims(site), site.number("KillWait", 30)
    modes = {victim.mode for victim in found}
    mode = next((mode for mode in _PREEMPTION if mode in modes), None)  # the worst of them
    if mode is None:
        preemption = Finding(OK, "preemption", "none", "what runs is left alone until its time limit")
    else:
        sign, means = _PREEMPTION[mode]
        names = _some([f"{victim.name} {victim.mode}" for victim in found])
        preemption = Finding(sign, "preemption", names, means)
    if mode in (None, "SUSPEND"):
        told = f"USR2 {signal_seconds({})} s before a time limit; TERM {kill} s before KILL"
        return [preemption, _judge_warning(told, kill)]
    grace = min(victim.grace for victim in found)
    if has_user_signal(site):
        times = f"{grace} s (GraceTime) + {kill} s (KillWait)" if grace else f"{kill} s (KillWait)"
        return [preemption, _judge_warning(f"USR2 on preemption, then {times}", grace + kill)]
    # Measured with 22.05: what runs without srun hears nothing when its grace time begins.
    lost = f", GraceTime {grace} s unannounced" if grace else ""
    return [preemption, _judge_warning(f"TERM on preemption, then {kill} s (KillWait){lost}", kill)]


def has_user_signal(site: Site) -> bool:
    """Whether preemption sends the signal that the trainer asks for; the option changed its place in 23.02."""
    return (
        "preempt_send_user_signal" in site.options("SlurmctldParameters")
        or "send_user_signal" in site.options("PreemptParameters")
    )  # fmt: skip


def _judge_warning(found: str, seconds: int) -> Finding:
    if seconds < ENOUGH_SECONDS:
        return Finding(WARN, "time to save", found, "perhaps too short: a lower --period_ckpt loses fewer steps")
    return Finding(OK, "time to save", found, "enough to end a step and save")


def judge_requeue(site: Site) -> Finding:
    life = site.options("AuthInfo").get("cred_expire", "")
    delay = site.options("SchedulerParameters").get("requeue_delay", life)
    found = f"after {delay if delay.isdigit() else CREDENTIAL_SECONDS} s"
    if site.config.get("JobRequeue") == "0":
        found += ", if asked for (JobRequeue=0), which seqtrack does"
    return Finding(OK, "requeue", found, "so long does a requeued task wait before it goes on")


def judge_tmp(site: Site) -> Finding:
    kind = site.plugin("NamespaceType", "JobContainerType")  # renamed in 25.11
    if kind:
        means = "--untar unpacks anew in each job, unless --tmp_data_dir names a disk that stays"
        return Finding(NOTE, "/tmp of jobs", f"private to each ({kind})", means)
    return Finding(OK, "/tmp of jobs", "shared on a node, as far as SLURM says", "one job unpacks, the others use it")


def judge_isolation(site: Site) -> Finding:
    track, task = site.plugin("ProctrackType") or "cgroup", site.config.get("TaskPlugin", "none").replace("task/", "")
    found = f"proctrack {track}, task {task}"
    if "cgroup" in task.split(","):
        return Finding(OK, "isolation", found, "jobs are held to what they ask for: cpus-per-task=N mem=SIZE")
    return Finding(NOTE, "isolation", found, "jobs may use more than they asked for, and slow each other")


def judge_plugins(site: Site) -> list[Finding]:
    names = [site.config[name] for name in ("JobSubmitPlugins", "CliFilterPlugins") if name in site.config]
    if not names:
        return []
    return [Finding(NOTE, "site rules", ", ".join(names), "the site may change or refuse jobs by rules of its own")]


def _span(time: str) -> str:
    """``1-12:00:00`` as ``1 d 12 h``."""
    seconds = parse_seconds(time)
    counts = (seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    return " ".join(f"{n} {unit}" for n, unit in zip(counts, ("d", "h", "min", "s"), strict=True) if n) or time


def _some(words: Sequence[str]) -> str:
    rest = len(words) - SHOWN
    return ", ".join(words[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _range(counts: Sequence[int]) -> str:
    return f"× {min(counts)}" if min(counts) == max(counts) else f"× {min(counts)}–{max(counts)}"
