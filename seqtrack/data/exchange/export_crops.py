"""A data set as PySiamTracking's crop-and-pickle set: ``{name}_clean.pkl`` and ``{name}.zip``.

A picture for each label with a target, cut as SiamFC cuts (``crops.square_around``: the exemplar's square is 127 px
of the ``crop_size``), beyond the frame in the mean colour, called ``{video}_{track}_{frame}.jpg``. Row 0 of its boxes
is the target, the others are the other tracks' boxes in that frame; x1 y1 x2 y2 in pixels of the crop, float64. What
PySiamTracking's own converter does otherwise: it moves the lower right corner by one pixel of the original before it
scales, and the square by a fraction of a pixel; here boxes and pixels agree exactly.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from seqtrack.data.datasets import Dataset
from seqtrack.data.exchange.exporting import (
    OnProgress,
    frame_of,
    naming,
    publish,
    refuse_existing,
    workplace,
    write_pieces,
)
from seqtrack.data.exchange.restricted_pickle import loads
from seqtrack.data.imaging.crops import CropMap, crop, square_around
from seqtrack.data.imaging.images import decode
from seqtrack.data.storage.node_local import remove_tree
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import replacing

EXEMPLAR = 127
JPEG_QUALITY = 95
"""cv2.imwrite's own, with which the published sets were written."""


@dataclass(frozen=True)
class _Crops:
    size: int
    categories: tuple[str, ...]

    def name(self, number: int) -> str:
        return f"{number:05d}.zip"

    def write(self, dataset: Dataset, videos: range, path: Path) -> dict[str, Any]:
        sequences: list[dict[str, Any]] = []
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            for video in videos:
                sequences += self._video(dataset, video, archive)
        with replacing(path.with_suffix(".pkl")) as temporary:
            temporary.write_bytes(pickle.dumps(sequences, protocol=4))
        return {"sequences": len(sequences), "pictures": sum(len(sequence["frames"]) for sequence in sequences)}

    def _video(self, dataset: Dataset, video: int, archive: zipfile.ZipFile) -> list[dict[str, Any]]:
        """The sequences of a video; each frame is decoded once for all targets in it."""
        index = dataset.index
        name = index.video_name(video).replace("/", "_")
        numbers = list(index.tracks_of(video))
        sequences: list[dict[str, Any]] = [
            {
                "frame_id": [],
                "bboxes": [],
                "frames": [],
                "category": self.categories.index(index.track(number).category) + 1,
            }
            for number in numbers
        ]
        for frame, targets in _by_frame(dataset, video):
            image = decode(frame_of(dataset, video, frame), lambda: dataset.describe_frame(video, frame))  # noqa: B023
            for k, box in targets:
                ratio = self.size / EXEMPLAR
                x, y, w, h = box.tolist()
                picture, mapping = crop(image, x + w / 2, y + h / 2, square_around((x, y, w, h)) * ratio, self.size)
                file = f"{name}_{k}_{frame}.jpg"
                others = [(j, other) for j, other in targets if j != k]
                rows = [self._row(mapping, j, other, sequences) for j, other in [(k, box), *others]]
                sequences[k]["frame_id"].append(frame)
                sequences[k]["frames"].append(file)
                sequences[k]["bboxes"].append(np.array(rows))
                data = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), JPEG_QUALITY, "RGB", "420")
                archive.writestr(zipfile.ZipInfo(file), data)
        return [sequence for sequence in sequences if sequence["frames"]]

    def _row(
        self, mapping: CropMap, k: int, box: NDArray[np.float64], sequences: list[dict[str, Any]]
    ) -> tuple[float, ...]:
        x, y, w, h = mapping.to_crop(box.tolist())
        return x, y, x + w, y + h, float(sequences[k]["category"]), 0.0


def _by_frame(dataset: Dataset, video: int) -> Iterator[tuple[int, list[tuple[int, NDArray[np.float64]]]]]:
    """Each frame with a target, and its (place of the track in the video, box) in the order of tracks."""
    found: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
    for k, number in enumerate(dataset.index.tracks_of(video)):
        track = dataset.index.track(number)
        usable = track.present & np.isfinite(track.boxes).all(axis=1) & (track.boxes[:, 2:] > 0).all(axis=1)
        for row in np.flatnonzero(usable).tolist():
            found.setdefault(int(track.frames[row]), []).append((k, track.boxes[row]))
    return iter(sorted(found.items()))


def export_crops(
    dataset: Dataset, out: Path, crop_size: int, workers: int, on_progress: OnProgress
) -> tuple[Path, Path]:
    """Writes the pickle and the zip and returns both.

    Raises:
        UserError: they exist, or cannot be written. DataError: a frame cannot be read.
    """
    places = (out / f"{dataset.name}_clean.pkl", out / f"{dataset.name}.zip")
    refuse_existing(places)
    index = dataset.index
    categories = tuple(sorted({index.track(track).category for track in range(index.num_tracks)}))
    folder = workplace(out, dataset, f"crop_{crop_size}")
    kind = _Crops(crop_size, categories)
    notes = write_pieces(dataset, kind, folder, workers, on_progress)
    if not sum(note["pictures"] for note in notes):
        raise UserError(f"{dataset.name}: no label has a target; there is nothing to export")
    parts = [folder / kind.name(number) for number in range(len(notes))]
    with naming(out):
        _join(parts, folder / "all.zip")
        content = {
            "categories": [{"id": number, "name": name} for number, name in enumerate(categories, start=1)],
            "seqs": [
                sequence | {"bboxes": [np.asarray(boxes) for boxes in sequence["bboxes"]]}
                for part in parts
                for sequence in loads(part.with_suffix(".pkl").read_bytes(), str(part.with_suffix(".pkl")))
            ],
        }
        with replacing(folder / "all.pkl") as temporary:
            temporary.write_bytes(pickle.dumps(content, protocol=4))
    # The pictures first: a pickle that is there has them.
    publish([(folder / "all.zip", places[1]), (folder / "all.pkl", places[0])])
    remove_tree(folder)
    return places


def _join(parts: list[Path], whole: Path) -> None:
    """One zip of the members of several, each copied as it is."""
    with replacing(whole) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        taken: set[str] = set()
        for part in parts:
            with zipfile.ZipFile(part) as piece:
                for member in piece.infolist():
                    if member.filename in taken:
                        raise DataError(
                            f"two videos make pictures of one name, {member.filename}: export them one by one"
                        )
                    taken.add(member.filename)
                    archive.writestr(zipfile.ZipInfo(member.filename), piece.read(member))
