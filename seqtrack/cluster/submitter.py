"""One sbatch through submitit: tried again while SLURM is out of breath, never submitted twice.

submitit names its pickles after sbatch has answered, so a job whose submitter dies in between finds nothing to run.
Here a job's script says everything itself and no pickle is written: of submitit we take the executor (script,
sbatch, job id) at submission, and the environment with its requeue inside the job (``slurm_job``).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from submitit import SlurmExecutor
from submitit.core.utils import FailedJobError, FailedSubmissionError

from seqtrack.cluster import slurm_queue
from seqtrack.errors import TrialError, UserError

# Options whose variable is not named after them.
_VARIABLES = {"ARRAY": "ARRAY_INX", "TIME": "TIMELIMIT"}
LONG_SECONDS = 10.0
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0)
# What sbatch says of a request that will not be granted however often it is made.
_REFUSALS = re.compile(
    r"invalid|not available|unrecognized|violates|not permitted|denied|does not exist|unknown|cannot be satisfied"
    r"|QOS\w*Limit|Assoc\w*Limit|unable to open file|out of range|too (many|large|long)|illegal|disabled",
    re.IGNORECASE,
)
_SUBMIT_LIMITS = re.compile(r"(QOS|Assoc)Max(Submit|Job)|MaxSubmit|job submit limit", re.IGNORECASE)


class _TextExecutor(SlurmExecutor):
    """submitit's executor for a script that is complete already."""

    def __init__(self, folder: Path, text: str) -> None:
        super().__init__(folder)
        self._text = text

    def _make_submission_file_text(self, command: str, uid: str) -> str:
        return self._text

    def _make_submission_command(self, submission_file_path: Path) -> list[str]:
        names = [*slurm_queue.inherited_variables(), *overriding_variables(self._text, os.environ)]
        hidden = [word for name in names for word in ("-u", name)]
        return [*(["env", *hidden] if hidden else []), "sbatch", str(submission_file_path)]


def overriding_variables(text: str, environ: Iterable[str]) -> list[str]:
    """Variables that sbatch would take for more important than what the script says itself (SBATCH_PARTITION for
    ``--partition``). A default that the script does not mention, such as an account, stays."""
    said = {name.upper().replace("-", "_") for name in re.findall(r"^#SBATCH --([a-z-]+)", text, re.MULTILINE)}
    said |= {_VARIABLES[name] for name in said & _VARIABLES.keys()}
    never = {"NO_REQUEUE", "WAIT", "TEST_ONLY"}
    return sorted(name for name in environ if name.startswith("SBATCH_") and name[7:] in said | never)


def submit(text: str, folder: Path, tag: str, flag: str, say: Callable[[str], None]) -> str:
    """Submits a script; returns the job id. The script is kept in ``folder`` as ``<id>_submission.sh``.

    Args:
        tag: in the job's comment. Should sbatch fail after SLURM took the job, it is found again by it.
        flag: with which a person chose what the job asks for, such as ``--slurm_flags``; for messages.

    Raises:
        UserError: SLURM refuses the request. TrialError: SLURM does not answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    executor = _TextExecutor(folder, text)
    for pause in (*RETRY_SECONDS, None):
        try:
            # It prints what sbatch said, which the exception says too.
            with contextlib.redirect_stderr(io.StringIO()), _saying_that_it_waits(say):
                job_id = str(executor._submit_command("").job_id)
            break
        except (FailedJobError, FailedSubmissionError) as error:
            said = " ".join(str(error).replace("sbatch: error: ", "").split()) or "sbatch failed without a word"
            if _SUBMIT_LIMITS.search(said):
                raise UserError(f"--slurm: {said}; give --slurm_max_submit N to stay below the limit") from None
            if _REFUSALS.search(said):
                raise UserError(f"{flag}: SLURM refuses the job: {said}") from None
            if found := _find(tag):
                job_id = found
                break
            if pause is None:
                raise TrialError(f"SLURM does not take the job: {said}; give the same command again later") from None
            say(f"sbatch failed ({said}); trying again in {pause:g} s")
            time.sleep(pause)
    for link in folder.glob(".submission_file_*"):
        link.unlink(missing_ok=True)
    return job_id


@contextlib.contextmanager
def _saying_that_it_waits(say: Callable[[str], None]) -> Iterator[None]:
    """sbatch waits, silently and for ever, while SLURM has as many jobs as it takes (MaxJobCount)."""
    timer = threading.Timer(
        LONG_SECONDS,
        say,
        ["sbatch waits: SLURM is busy, or has all the jobs that it takes (MaxJobCount); Ctrl-C leaves"],
    )
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _find(tag: str) -> str | None:
    """The id of a job that is in the queue although sbatch did not say so."""
    tasks = slurm_queue.queue()
    if tasks is None:
        raise TrialError(
            "SLURM does not answer, so it is not known whether it took the job; the same command finds out"
        )
    return next((task.job_id for task in tasks if task.tag == tag), None)
