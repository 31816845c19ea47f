"""The truth of sequences with what their publisher says beside the boxes: tags of frames, attributes of sequences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from seqtrack.assessment.protocols import Sequence
from seqtrack.data.formats import DatasetName
from seqtrack.data.formats.marks import are_published, read_marks
from seqtrack.data.indexing.index import Index
from seqtrack.data.locations import ORIGINAL, Locations, located


def marked(sequences: Iterable[Sequence], index: Index, name: DatasetName, locations: Locations) -> list[Sequence]:
    """The same sequences, with tags and attributes where the original version is at hand and has any.

    Raises:
        DataError: names the file, and the row where there is one.
    """
    found = list(sequences)
    source = located(name, locations, ORIGINAL) if are_published(name.layout) else None
    if source is None:
        return found
    tree = source.tree(locations.cache_dir)
    for k, one in enumerate(found):
        video = index.video_name(one.video)
        marks = read_marks(name.layout, name.part, tree, video, one.name, one.frames)
        found[k] = replace(one, labels=replace(one.labels, tags=marks.tags, attributes=marks.attributes))
    return found
