"""The exception tree of seqtrack.

``SeqtrackError``
 ├─ ``UserError``      a person can mend it: a flag, a file, a value. Exit code 2, no traceback.
 │   └─ ``DataError``  the mistake lies in data on disk; the message names file, video and frame.
 └─ ``TrialError``     one trial failed; other trials go on. Exit code 1.

Every message is one line that says what is wrong, where, and what to do about it. All of them survive
pickling (loader workers, jobs) because they carry nothing but that message.
"""


class SeqtrackError(Exception):
    """Base of everything that seqtrack raises on purpose."""

    def __init__(self, message: object = "") -> None:
        # Messages quote data and names of files, which hold anything: line ends, terminal codes, half of a character.
        super().__init__("".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(message)))


class UserError(SeqtrackError):
    """A person's mistake: ends with exit code 2 and this message as the first line."""


class DataError(UserError):
    """Data on disk that cannot be used as it is."""


class TrialError(SeqtrackError):
    """A trial (or a job of it) failed; the message gives the cause."""


class SupersededError(TrialError):
    """A newer attempt of the same trial has started; this one must stop and publish nothing."""
