"""Where the bytes of frames come from, behind one interface: ``Frames``.

    files.py      plain files
    archive.py    a tar or a zip, read in place
    members.py    what an archive was found to hold, spooled to disk while it is listed
    table.py      where the members of an archive lie; made once per archive, kept in the cache of indexes
    recordset.py, cropset.py, tfdsset.py    ArrayRecord files, crop-and-pickle sets, TFDS builders
    backends.py   which of them serves a data set, and what is staged first (staging.py)
    trees.py      the same places listed and read once, to build an index

Frames are read again and again while training: none of them holds a file position or a lock, so they may be used from
many processes after a fork, and they survive pickling for spawn by opening again.
"""

from seqtrack.data.storage.archive import ArchiveFrames, open_archive
from seqtrack.data.storage.files import DirectoryFrames, Frames, read_file
from seqtrack.data.storage.table import MemberTable, table_arrays, table_path

__all__ = [
    "ArchiveFrames",
    "DirectoryFrames",
    "Frames",
    "MemberTable",
    "open_archive",
    "read_file",
    "table_arrays",
    "table_path",
]
