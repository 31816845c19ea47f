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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from seqtrack.data.datasets import Dataset
from seqtrack.data.exchange.exporting import OnProgress, publish, workplace, write_pieces
from seqtrack.data.formats.restricted_pickle import loads
from seqtrack.data.preprocessing.picture_maker import ENCODER, Maker, Recipe, wanted
from seqtrack.errors import DataError, UserError
from seqtrack.runs.atomic import replacing


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
        index, recipe = dataset.index, Recipe(f"crop_{self.size}")
        name, numbers = index.video_name(video).replace("/", "_"), index.tracks_of(video)
        maker, tracks = Maker(dataset, recipe), [index.track(number) for number in numbers]
        classes = [self.categories.index(track.category) + 1 for track in tracks]
        sequences: list[dict[str, Any]] = [
            {"frame_id": [], "bboxes": [], "frames": [], "category": category} for category in classes
        ]
        for frame, labels in wanted(index, video, recipe).by_frame():
            boxes = {number - numbers.start: tracks[number - numbers.start].boxes[row] for number, row in labels}
            crops = maker.crops(video, frame, labels, self.size)
            for k, (picture, mapping) in zip(boxes, crops, strict=True):
                rows = []
                for j in [k, *(other for other in boxes if other != k)]:
                    x, y, w, h = mapping.to_crop(boxes[j].tolist())
                    rows.append((x, y, x + w, y + h, float(classes[j]), 0.0))
                file = f"{name}_{k}_{frame}.jpg"
                sequences[k]["frame_id"].append(frame)
                sequences[k]["frames"].append(file)
                sequences[k]["bboxes"].append(np.array(rows))
                archive.writestr(zipfile.ZipInfo(file), picture)
        return [sequence for sequence in sequences if sequence["frames"]]


def export_crops(
    dataset: Dataset, out: Path, crop_size: int, workers: int, on_progress: OnProgress
) -> tuple[Path, Path]:
    """Writes the pickle and the zip and returns both.

    Raises:
        UserError: they exist, or cannot be written. DataError: a frame cannot be read.
    """
    places = (out / f"{dataset.name}_clean.pkl", out / f"{dataset.name}.zip")
    index = dataset.index
    categories = tuple(sorted({index.track(track).category for track in range(index.num_tracks)}))
    kind = _Crops(crop_size, categories)
    with workplace(out, dataset, f"crop_{crop_size}", (ENCODER, cv2.__version__), places) as folder:
        notes = write_pieces(dataset, kind, folder, workers, on_progress)
        if not sum(note["pictures"] for note in notes):
            raise UserError(f"{dataset.name}: no label has a target; there is nothing to export")
        parts = [folder / kind.name(number) for number in range(len(notes))]
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
