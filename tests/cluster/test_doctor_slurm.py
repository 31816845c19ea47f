"""What `seqtrack doctor` reads from SLURM's own words, and what it makes of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from seqtrack.cluster import doctor_probe, doctor_slurm
from seqtrack.cluster.doctor import BAD, NOTE, OK, WARN, Answer, Finding
from seqtrack.cluster.slurm_site import (
    Site,
    Victim,
    is_usable,
    parse_config,
    parse_gpus,
    parse_records,
    parse_seconds,
    parse_table,
    victims,
)

# As SLURM 22.05 prints them, shortened by lines that nobody reads.
CONFIG = """\
Configuration data as of 2026-11-21T06:35:22
AccountingStorageBackupHost = (null)
AccountingStorageEnforce = associations,limits,qos,safe
AccountingStorageType   = accounting_storage/slurmdbd
AccountingStorageUser   = N/A
AuthInfo                = socket=/run/munge/sock,cred_expire=60
ClusterName             = north
GresTypes               = gpu
JobContainerType        = job_container/none
JobRequeue              = 1
JobSubmitPlugins        = (null)
KillWait                = 30 sec
MaxArraySize            = 1001
MaxJobCount             = 10000
PowerPlugin             = 
PreemptMode             = REQUEUE
PreemptType             = preempt/partition_prio
ProctrackType           = proctrack/cgroup
SchedulerParameters     = bf_continue,max_array_tasks=200
SlurmctldHost[0]        = head(10.0.0.1)
SlurmctldParameters     = (null)
SLURM_VERSION           = 22.05.8
TaskPlugin              = task/cgroup,task/affinity

Cgroup Support Configuration:
TaskPlugin              = of another file

Slurmctld(primary) at head is UP
"""  # noqa: W291
PARTITIONS = """\
PartitionName=batch
   AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL
   AllocNodes=ALL Default=YES QoS=N/A
   DefaultTime=00:10:00 DisableRootJobs=NO ExclusiveUser=NO GraceTime=30 Hidden=NO
   MaxNodes=UNLIMITED MaxTime=1-12:00:00 MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED
   Nodes=node[1-2]
   PriorityJobFactor=1 PriorityTier=1 RootOnly=NO ReqResv=NO OverSubscribe=NO
   OverTimeLimit=NONE PreemptMode=REQUEUE
   State=UP TotalCPUs=4 TotalNodes=2 SelectTypeParameters=NONE
   TRES=cpu=4,mem=2000M,node=2,billing=4,gres/gpu=4

PartitionName=urgent
   AllocNodes=ALL Default=NO QoS=N/A
   DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime=0 Hidden=NO
   MaxNodes=UNLIMITED MaxTime=UNLIMITED MinNodes=0 LLN=NO MaxCPUsPerNode=UNLIMITED
   Nodes=node[1-2]
   PriorityJobFactor=1 PriorityTier=10 RootOnly=NO ReqResv=NO OverSubscribe=NO
   OverTimeLimit=NONE PreemptMode=OFF
   State=UP TotalCPUs=4 TotalNodes=2 SelectTypeParameters=NONE

"""
NODES = """\
NodeName=node1 Arch=x86_64 CoresPerSocket=1 
   CPUAlloc=0 CPUEfctv=2 CPUTot=2 CPULoad=0.06
   Gres=gpu:a100:4(S:0-1)
   OS=Linux 6.1.0 #1 SMP PREEMPT_DYNAMIC State of the art
   RealMemory=1000 AllocMem=0 FreeMem=23418 Sockets=2 Boards=1
   State=IDLE+PLANNED ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A
   Partitions=batch,urgent 
   AllocTRES=

NodeName=node2 Arch=x86_64 CoresPerSocket=1 
   Gres=gpu:2
   State=DOWN*+DRAIN ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A
   Partitions=batch,urgent 
   Reason=fan broken [root@2026-11-20T10:00:00]

"""  # noqa: W291
ASSOCIATIONS = """\
Cluster|Account|User|Partition|Share|Priority|GrpJobs|GrpTRES|GrpSubmit|GrpWall|MaxJobs|MaxSubmit|QOS|Def QOS
north|vision|ada||1||||||8|40|normal,long||
north|robots|ada||1||||||||normal||
"""
QOS = """\
Name|Priority|GraceTime|Preempt|PreemptMode|MaxJobsPU|MaxSubmitPU
normal|0|00:00:00||cluster||
long|0|00:05:00||cancel|4|20
urgent|9|00:00:00|long,normal|cluster||5
"""
SITE = Site(
    parse_config(CONFIG),
    parse_records(PARTITIONS, "PartitionName"),
    parse_records(NODES, "NodeName"),
    parse_table(ASSOCIATIONS),
    parse_table(QOS),
)


def site(**config: str) -> Site:
    """The site above, configured otherwise; an empty value unsets."""
    return replace(SITE, config={name: value for name, value in {**SITE.config, **config}.items() if value})


class TestReadingSlurm:
    def test_the_configuration_is_read_by_name_and_what_is_unset_is_missing(self) -> None:
        assert SITE.config["MaxArraySize"] == "1001"
        assert SITE.config["AuthInfo"] == "socket=/run/munge/sock,cred_expire=60"
        assert SITE.config["SlurmctldHost[0]"] == "head(10.0.0.1)"
        assert not {"AccountingStorageBackupHost", "AccountingStorageUser", "PowerPlugin"} & SITE.config.keys()

    def test_of_two_lines_of_one_name_the_first_counts(self) -> None:
        assert SITE.config["TaskPlugin"] == "task/cgroup,task/affinity"

    def test_settings_are_read_as_plugins_numbers_and_options(self) -> None:
        assert SITE.plugin("AccountingStorageType") == "slurmdbd"
        assert SITE.plugin("JobContainerType") == SITE.plugin("NamespaceType") == ""
        assert SITE.number("KillWait", 5) == 30
        assert SITE.number("MinJobAge", 300) == 300
        assert SITE.options("SchedulerParameters") == {"bf_continue": "", "max_array_tasks": "200"}
        assert SITE.options("SlurmctldParameters") == {}

    def test_each_partition_and_each_node_is_a_record(self) -> None:
        batch, urgent = SITE.partitions
        assert (batch["PartitionName"], batch["MaxTime"], batch["GraceTime"]) == ("batch", "1-12:00:00", "30")
        assert (urgent["PartitionName"], urgent["PriorityTier"]) == ("urgent", "10")
        assert not {"MaxTime", "DefaultTime"} & urgent.keys()
        assert [node["NodeName"] for node in SITE.nodes] == ["node1", "node2"]
        assert SITE.nodes[0]["State"] == "IDLE+PLANNED"
        assert parse_records("No partitions in the system\n", "PartitionName") == []

    def test_one_record_a_line_is_read_alike(self) -> None:
        joined = re.sub(r"\n +", " ", NODES).replace("\n\n", "\n")
        assert parse_records(joined, "NodeName") == list(SITE.nodes)

    def test_a_table_of_sacctmgr_is_read_by_its_heading(self) -> None:
        assert parse_table(ASSOCIATIONS)[0] == {
            "Cluster": "north", "Account": "vision", "User": "ada", "Share": "1", "MaxJobs": "8", "MaxSubmit": "40",
            "QOS": "normal,long",
        }  # fmt: skip
        assert parse_table("") == []

    @pytest.mark.parametrize(
        ("gres", "expected"),
        [
            ("gpu:2", {"gpu": 2}),
            ("gpu", {"gpu": 1}),
            ("gpu:a100:4", {"gpu:a100": 4}),
            ("gpu:a100:4(S:0-1)", {"gpu:a100": 4}),
            ("gpu:8(S:0,2-3)", {"gpu": 8}),
            ("gpu:a100:1,gpu:v100:1", {"gpu:a100": 1, "gpu:v100": 1}),
            ("craynetwork:4,gpu:2,shard:gpu:8", {"gpu": 2}),
            ("gpu:1g.5gb:7", {"gpu:1g.5gb": 7}),
            ("gpu:3090:2,gpu:1080", {"gpu:3090": 2, "gpu": 1080}),  # a number alone is a count
            ("", {}),
            ("mps:100", {}),
        ],
    )
    def test_kinds_of_gpus(self, gres: str, expected: dict[str, int]) -> None:
        assert parse_gpus(gres) == expected

    @pytest.mark.parametrize(
        ("time", "seconds"),
        [("00:10:00", 600), ("1-12:00:00", 129600), ("300", 300), ("05:00", 300), ("infinite", 0), ("", 0)],
    )
    def test_times(self, time: str, seconds: int) -> None:
        assert parse_seconds(time) == seconds

    @pytest.mark.parametrize(
        ("state", "usable"),
        [
            ("IDLE", True), ("MIXED+PLANNED", True), ("ALLOCATED", True), ("IDLE+CLOUD+POWERED_DOWN", True),
            ("IDLE+DYNAMIC_NORM", True), ("RESERVED", True), ("IDLE*", False), ("DOWN", False),
            ("DOWN*+DRAIN", False), ("MIXED+DRAIN", False), ("IDLE+NOT_RESPONDING", False), ("UNKNOWN", False),
        ],
    )  # fmt: skip
    def test_nodes_that_jobs_can_get(self, state: str, usable: bool) -> None:
        assert is_usable({"State": state}) is usable


class TestWhoIsPreempted:
    def test_by_partition_those_below_another_on_the_same_nodes(self) -> None:
        assert victims(SITE) == [Victim("batch", "REQUEUE", 30)]
        apart = [{**SITE.nodes[0], "Partitions": "batch"}, {**SITE.nodes[1], "Partitions": "urgent"}]
        assert victims(replace(SITE, nodes=apart)) == []

    def test_by_qos_those_that_another_may_preempt_by_their_own_mode_or_the_general_one(self) -> None:
        assert victims(site(PreemptType="preempt/qos", PreemptMode="GANG,SUSPEND")) == [
            Victim("QOS normal", "SUSPEND", 0),
            Victim("QOS long", "CANCEL", 300),
        ]

    @pytest.mark.parametrize("kind", ["preempt/none", "", "(null)"])
    def test_nobody_where_it_is_switched_off(self, kind: str) -> None:
        assert victims(site(PreemptType=kind)) == []

    def test_gang_scheduling_alone_preempts_nobody(self) -> None:
        batch = {**SITE.partitions[0], "PreemptMode": "GANG"}
        assert victims(replace(SITE, partitions=[batch, SITE.partitions[1]])) == []


class TestWhatASiteMeans:
    def test_all_of_it(self) -> None:
        assert doctor_slurm.judge_site(SITE) == [
            Finding(
                OK, "partitions", "batch* 1 d 12 h, urgent without limit; 1 of 2 nodes up",
                "--slurm_flags time=LIMIT, or a job is requeued after 10 min",
            ),
            Finding(
                OK, "GPUs", "gpu:a100 × 4 (1 node), gpu × 2 (1 node)",
                "--slurm_flags gres=gpu:1, or gres=gpu:a100:1 for that kind",
            ),
            Finding(
                OK, "arrays", "200 tasks each, 10,000 jobs of everybody",
                "more seeds than that are split into several arrays",
            ),
            Finding(OK, "accounting", "slurmdbd", "it says why a task died: time, memory, its node"),
            Finding(
                NOTE, "your limits", "20 jobs in the queue (QOS long)",
                "for more seeds than that --slurm_max_submit=20",
            ),
            Finding(
                OK, "preemption", "batch REQUEUE", "a preempted trial is requeued and goes on from where it saved"
            ),
            Finding(
                OK, "time to save", "TERM on preemption, then 30 s (KillWait), GraceTime 30 s unannounced",
                "enough to end a step and save",
            ),
            Finding(OK, "requeue", "after 60 s", "so long does a requeued task wait before it goes on"),
            Finding(
                OK, "/tmp of jobs", "shared on a node, as far as SLURM says", "one job unpacks, the others use it"
            ),
            Finding(
                OK, "isolation", "proctrack cgroup, task cgroup,affinity",
                "jobs are held to what they ask for: cpus-per-task=N mem=SIZE",
            ),
        ]  # fmt: skip

    def test_nothing_is_known_but_the_defaults_of_slurm(self) -> None:
        """A release that names everything otherwise must not break the doctor."""
        said = {finding.about: (finding.sign, finding.found) for finding in doctor_slurm.judge_site(Site())}
        assert said == {
            "partitions": (WARN, "none is up"),
            "GPUs": (NOTE, "none that SLURM knows of"),
            "arrays": (OK, "1,001 tasks each, 10,000 jobs of everybody"),
            "accounting": (NOTE, "none"),
            "preemption": (OK, "none"),
            "time to save": (OK, "USR2 120 s before a time limit; TERM 30 s before KILL"),
            "requeue": (OK, "after 120 s"),
            "/tmp of jobs": (OK, "shared on a node, as far as SLURM says"),
            "isolation": (NOTE, "proctrack cgroup, task none"),
        }

    def test_names_that_newer_releases_use(self) -> None:
        newer = site(
            JobContainerType="", NamespaceType="namespace/tmpfs", PreemptParameters="youngest_first,send_user_signal",
            AuthInfo="", SchedulerParameters="requeue_delay=15",
        )  # fmt: skip
        said = {finding.about: (finding.sign, finding.found) for finding in doctor_slurm.judge_site(newer)}
        assert said["/tmp of jobs"] == (NOTE, "private to each (tmpfs)")
        assert said["time to save"] == (OK, "USR2 on preemption, then 30 s (GraceTime) + 30 s (KillWait)")
        assert said["requeue"] == (OK, "after 15 s")

    @pytest.mark.parametrize(
        ("config", "grace", "sign", "found"),
        [
            ({}, 0, OK, "TERM on preemption, then 30 s (KillWait)"),
            ({"KillWait": "5 sec"}, 0, WARN, "TERM on preemption, then 5 s (KillWait)"),
            ({"KillWait": "5 sec"}, 60, WARN, "TERM on preemption, then 5 s (KillWait), GraceTime 60 s unannounced"),
            (
                {"KillWait": "5 sec", "SlurmctldParameters": "enable_configless,preempt_send_user_signal"}, 60,
                OK, "USR2 on preemption, then 60 s (GraceTime) + 5 s (KillWait)",
            ),
            (
                {"KillWait": "5 sec", "SlurmctldParameters": "preempt_send_user_signal"}, 0,
                WARN, "USR2 on preemption, then 5 s (KillWait)",
            ),
        ],
    )  # fmt: skip
    def test_time_to_save(self, config: dict[str, str], grace: int, sign: str, found: str) -> None:
        batch = {**SITE.partitions[0], "GraceTime": str(grace)}
        _, said = doctor_slurm.judge_preemption(replace(site(**config), partitions=[batch, SITE.partitions[1]]))
        assert (said.sign, said.found) == (sign, found)

    @pytest.mark.parametrize(
        ("mode", "sign", "means"),
        [
            ("CANCEL", WARN, "such a job is not requeued: give the same command again and the trial goes on"),
            ("SUSPEND,GANG", NOTE, "a suspended trial goes on where it was, and is silent meanwhile"),
        ],
    )
    def test_modes_of_preemption(self, mode: str, sign: str, means: str) -> None:
        batch = {**SITE.partitions[0], "PreemptMode": mode}
        said, _ = doctor_slurm.judge_preemption(replace(SITE, partitions=[batch, SITE.partitions[1]]))
        assert (said.sign, said.found, said.means) == (sign, f"batch {mode.partition(',')[0]}", means)

    def test_of_several_modes_the_worst_one_speaks(self) -> None:
        said, _ = doctor_slurm.judge_preemption(site(PreemptType="preempt/qos"))
        assert (said.sign, said.found) == (WARN, "QOS normal REQUEUE, QOS long CANCEL")

    def test_partitions_of_a_large_site_are_not_all_listed(self) -> None:
        many = [{**SITE.partitions[1], "PartitionName": f"p{i}"} for i in range(12)]
        said = doctor_slurm.judge_partitions(replace(SITE, partitions=many))
        assert said == Finding(
            NOTE, "partitions", "p0 without limit, p1 without limit, p2 without limit and 9 more; 1 of 2 nodes up",
            "there is no default: --slurm_flags partition=NAME time=LIMIT",
        )  # fmt: skip

    def test_no_partition_or_no_node_that_works(self) -> None:
        down = [{**partition, "State": "DOWN"} for partition in SITE.partitions]
        assert doctor_slurm.judge_partitions(replace(SITE, partitions=down)).sign == WARN
        said = doctor_slurm.judge_partitions(replace(SITE, nodes=SITE.nodes[1:]))
        assert (said.sign, said.means) == (WARN, "jobs wait until a node is up")

    def test_nodes_that_are_hidden(self) -> None:
        said = doctor_slurm.judge_partitions(replace(SITE, nodes=[]))
        assert (said.sign, said.found) == (OK, "batch* 1 d 12 h, urgent without limit")

    def test_one_kind_of_gpu_without_a_type(self) -> None:
        nodes = [{"Gres": "gpu:8"}, {"Gres": "gpu:4(S:0)"}, {}]
        assert doctor_slurm.judge_gpus(Site(nodes=nodes)) == Finding(
            OK, "GPUs", "gpu × 4–8 (2 nodes)", "--slurm_flags gres=gpu:1"
        )

    def test_arrays_that_are_switched_off(self) -> None:
        assert doctor_slurm.judge_arrays(site(MaxArraySize="0")).sign == BAD

    def test_accounting_that_is_down_is_not_accounting_that_is_missing(self) -> None:
        assert doctor_slurm.judge_accounting(site(AccountingStorageType="accounting_storage/none")).sign == NOTE
        assert doctor_slurm.judge_accounting(replace(SITE, associations=None)) == Finding(
            WARN, "accounting", "slurmdbd, which does not answer",
            "why a task died is known only from the queue and from its log",
        )  # fmt: skip

    def test_limits_on_running_jobs_and_no_limits(self) -> None:
        (said,) = doctor_slurm.judge_limits(replace(SITE, associations=[{"Account": "a", "MaxJobs": "8"}], qos=None))
        assert (said.sign, said.found) == (OK, "8 jobs at a time (account a)")
        (said,) = doctor_slurm.judge_limits(replace(SITE, associations=[{"Account": "a"}]))
        assert said.found == "none on the number of jobs"

    @pytest.mark.parametrize("enforced", ["", "associations", "associations,qos"])
    def test_limits_that_are_not_enforced_are_not_mentioned(self, enforced: str) -> None:
        assert doctor_slurm.judge_limits(site(AccountingStorageEnforce=enforced)) == []

    def test_a_site_with_rules_of_its_own(self) -> None:
        (said,) = doctor_slurm.judge_plugins(site(JobSubmitPlugins="lua", CliFilterPlugins="cli_filter/lua"))
        assert (said.sign, said.found) == (NOTE, "lua, cli_filter/lua")

    def test_requeue_is_off_unless_asked_for(self) -> None:
        said = doctor_slurm.judge_requeue(site(JobRequeue="0"))
        assert (said.sign, said.found) == (OK, "after 60 s, if asked for (JobRequeue=0), which seqtrack does")

    def test_a_busy_controller(self) -> None:
        assert doctor_slurm.judge_controller(SITE, 0.012) == Finding(
            OK, "controller", "SLURM 22.05.8 of north, answers in 0.01 s", "jobs can be submitted from here"
        )
        assert doctor_slurm.judge_controller(SITE, 4).sign == NOTE

    @pytest.mark.parametrize(
        ("answer", "found"),
        [
            (Answer("Slurmctld(primary) at head is DOWN\n****\n", "****"), "down"),
            (
                Answer("", "scontrol: fatal: Could not establish a configuration source"),
                "none: SLURM is installed, not configured",
            ),
            (Answer("", "no answer within 15 s"), "no answer within 15 s"),
        ],
    )
    def test_no_controller_answers(self, answer: Answer, found: str) -> None:
        said = [doctor_slurm.judge_silence(answer, is_asked_for) for is_asked_for in (False, True)]
        assert [(finding.sign, finding.found) for finding in said] == [(NOTE, found), (BAD, found)]


class TestProbe:
    @pytest.mark.parametrize(
        ("line", "whose"),
        [
            ("610 600 8:1 /local/4711/.4711 /tmp rw,relatime - ext4 /dev/sda1 rw", "job"),
            ("610 600 8:1 /scratch/slurm.4711/tmp /tmp rw - xfs /dev/sdb rw", "job"),
            ("610 600 8:1 /scratch/14711 /tmp rw - xfs /dev/sdb rw", "node"),
            ("610 600 8:1 / /tmp rw - xfs /dev/sdb rw", "node"),
            ("610 600 8:1 /local/4711 /scratch rw - xfs /dev/sdb rw", "node"),
        ],
    )
    def test_whose_tmp(self, line: str, whose: str) -> None:
        table = f"22 1 8:1 / / rw - ext4 /dev/sda1 rw\n{line}\n"
        assert doctor_probe.whose_tmp(table, "4711") == whose

    def test_what_is_mounted_over_it_counts(self) -> None:
        table = "1 1 8:1 / /tmp rw - xfs /dev/sdb rw\n2 1 8:1 /jobs/4711 /tmp rw - xfs /dev/sdb rw\n"
        assert doctor_probe.whose_tmp(table, "4711") == "job"

    def test_a_job_that_fails(self) -> None:
        said = doctor_probe.judge_failure("line 12: python: No such file or directory\n\n")
        assert (said.sign, said.found) == (WARN, "line 12: python: No such file or directory")
        said = doctor_probe.judge_failure("")
        assert (said.sign, said.found) == (WARN, "the node wrote nothing to the cache folder")

    def test_locks_between_machines(self) -> None:
        said = [doctor_probe.judge_lock(state, "n7") for state in ("taken", "free", "fails (No locks available)")]
        assert [(finding.sign, finding.found) for finding in said] == [
            (OK, "held here, they keep n7 out"),
            (NOTE, "held here, they do not keep n7 out"),
            (NOTE, "fails (No locks available)"),
        ]
