"""Where the bytes of frames come from, behind one interface: ``Frames``.

    files.py      files below a folder
    archive.py    an uncompressed tar, or a zip, read in place: by ``pread``, or mapped where the copy is our own
    table.py      where the members of an archive lie; made once per archive, kept in the cache of indexes

``seqtrack.data.recordset`` has the frames of ArrayRecord files, ``seqtrack.data.cropset`` those of crop-and-pickle
sets; ``seqtrack.data.backends`` chooses. Frames are read again and again while training: none of them holds a file
position or a lock, so they may be used from many processes after a fork, and they survive pickling for spawn by
opening again.
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
