"""The layout of ImageNet VID: ilsvrc_train, ilsvrc_val.

    Data/VID/train/ILSVRC2015_VID_train_000k/ILSVRC2015_train_NNNNNNNN/NNNNNN.JPEG     (k = 0 … 3)
    Data/VID/val/ILSVRC2015_val_NNNNNNNN/NNNNNN.JPEG
    Annotations/VID/…/NNNNNN.xml        the objects of one frame: name (a WordNet id), trackid, bndbox, occluded

A ``trackid`` is a track, from the first frame that shows it to the last; where it is missing in between, the target
is absent, for all objects of the thirty classes are annotated in every frame. Where an id stands twice in a frame the
first counts, as in pytracking (``ltr/dataset/imagenetvid.py``). Boxes as in got10k (``datasets/vid.py``): see
``voc``.

Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 2015.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from seqtrack.data.formats import Sizes, TrackAnnotation, Tree, VideoAnnotation
from seqtrack.data.formats.common import base_of, between_sightings, frames_in, join, original_size, stem
from seqtrack.data.formats.voc import Object, Picture, parse_picture
from seqtrack.errors import DataError

EXPECTED = "Data/VID/<part>/…/<video>/NNNNNN.JPEG and Annotations/VID/<part>/…/<video>/NNNNNN.xml"

_ANNOTATIONS = "Annotations/VID"
_PREFIX = "ILSVRC"
_SHARD = "ILSVRC2015_VID_train_"


def find(tree: Tree, part: str) -> Iterator[str]:
    """Folders of annotations, one per video, in the order of names. Others' links (a, b, …) are not followed."""
    base = base_of(tree, _ANNOTATIONS, f"ILSVRC/{_ANNOTATIONS}", f"ILSVRC2015/{_ANNOTATIONS}") or _ANNOTATIONS
    for chosen in [part] if part else ["train", "val"]:
        top = f"{base}/{chosen}"
        for name in tree.list(top).folders:
            if name.startswith(_SHARD):
                yield from (f"{top}/{name}/{video}" for video in tree.list(f"{top}/{name}").folders)
            elif name.startswith(_PREFIX):
                yield f"{top}/{name}"


def read(tree: Tree, entry: str, sizes: Sizes) -> VideoAnnotation:
    video = entry.rpartition("/")[2]
    images = entry.replace(_ANNOTATIONS, "Data/VID", 1)
    frames = frames_in(tree, images)
    if not frames:
        raise DataError(f"{tree.describe(images)}: no frames for {tree.describe(entry)}; expected NNNNNN.JPEG there")
    files = [f"{stem(name)}.xml" for name in frames]
    there = [name for name in tree.list(entry).files if name.endswith(".xml")]
    if unmatched := sorted(set(there) ^ set(files)):
        name = join(entry, unmatched[0])
        what = "no frame for it" if unmatched[0] in there else "it is missing, but its frame is there"
        raise DataError(f"{tree.describe(name)}: {what}; frames and annotations must match: mend the data")
    pictures = [_picture(tree, join(entry, name)) for name in files]
    return VideoAnnotation(
        name=video,
        frame_names=frames,
        size=pictures[0].size or original_size(tree, video, frames[0], sizes),
        tracks=_tracks(video, pictures),
    )


def _picture(tree: Tree, name: str) -> Picture:
    where = tree.describe(name)
    picture = parse_picture(tree.read(name), where)
    for number, found in enumerate(picture.objects, start=1):
        if not found.track:
            raise DataError(f"{where}, object {number}: no <trackid>; mend the file")
    return picture


def _tracks(video: str, pictures: list[Picture]) -> list[TrackAnnotation]:
    """One per trackid, in the order of their numbers."""
    seen: dict[str, dict[int, Object]] = {}
    for position, picture in enumerate(pictures):
        for found in picture.objects:
            seen.setdefault(found.track, {}).setdefault(position, found)
    tracks = []
    for track in sorted(seen, key=lambda track: (len(track), track)):
        objects = seen[track]
        boxes_at = {position: found.box for position, found in objects.items()}
        frames, boxes, present = between_sightings(range(len(pictures)), boxes_at)
        tracks.append(
            TrackAnnotation(
                name=f"{video}.{track}",
                frames=frames,
                boxes=boxes,
                present=present,
                occluded=np.array([position in objects and objects[position].occluded for position in frames]),
                category=next(iter(objects.values())).category,
            )
        )
    return tracks
