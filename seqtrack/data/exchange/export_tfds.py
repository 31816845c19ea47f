"""A data set as a TFDS builder of ArrayRecord shards: ``{out}/{name}/1.0.0/``, one example per video.

    metadata/name, width, height, num_frames
    video                 the frames' encoded bytes, untouched
    frame_names           what they are called in the original
    tracks/               sequences by track:
        name, category
        frames            which frames are labelled
        bboxes            y1 x1 y2 x2 in [0, 1], float32, cut at the frame's border; 0 0 0 0 without numbers
        present, occluded, visibility
        xywh_bits         x y w h in pixels, float64, as int64 of the same bits (tf.train.Example knows float32 only):
                          ``boxes = xywh_bits.view(numpy.float64)``

``tfds.data_source("name", data_dir=out)`` opens it without TensorFlow, and seqtrack as ``tfds:name``. Polygons are
left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqtrack.data.datasets import Dataset
from seqtrack.data.exchange.exporting import (
    OnProgress,
    frame_of,
    publish,
    workplace,
    write_pieces,
)
from seqtrack.data.formats.tfds import EXACT
from seqtrack.data.indexing.index import Track
from seqtrack.data.storage.node_local import remove_tree
from seqtrack.data.storage.records import Example, need, shard_name, write_info, write_shard
from seqtrack.errors import DataError

VERSION = "1.0.0"
_LARGEST_RECORD = (2 << 30) - (16 << 20)  # protocol buffers end at 2 GiB


@dataclass(frozen=True)
class _Shards:
    builder: str
    split: str

    def name(self, number: int) -> str:
        return shard_name(self.builder, self.split, number)

    def write(self, dataset: Dataset, videos: range, path: Path) -> dict[str, Any]:
        records, size = write_shard(path, (_example(dataset, video) for video in videos))
        return {"records": records, "bytes": size}


def builder_name(name: str) -> str:
    """A name that TFDS takes: lower case, digits, underscores."""
    plain = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return plain if plain[:1].isalpha() else f"set_{plain}"


def export_tfds(dataset: Dataset, out: Path, split: str, workers: int, on_progress: OnProgress) -> Path:
    """Writes the builder's folder and returns it.

    Raises:
        UserError: it exists, or cannot be written. DataError: a frame cannot be read.
    """
    name = builder_name(dataset.name)
    place = out / name / VERSION
    with workplace(out, dataset, f"tfds-{split}", (), [place]) as folder:
        notes = write_pieces(dataset, _Shards(name, split), folder, workers, on_progress)
        done = folder / VERSION
        remove_tree(done)
        done.mkdir()
        for number in range(len(notes)):
            file = shard_name(name, split, number)
            (folder / file).rename(done / file)
        shards = [(int(note["records"]), int(note["bytes"])) for note in notes]
        first = dataset.read_frame(0, 0) if dataset.index.num_videos else b""
        description = f"{dataset.name}, exported by seqtrack; index {dataset.index.fingerprint}"
        write_info(done, name, description, _features(first), {split: shards})
        publish([(done, place)])
    return place


def _features(first_frame: bytes) -> Any:
    kinds = need("tensorflow_datasets").features
    picture = kinds.Image(
        shape=(None, None, 3), encoding_format="png" if first_frame.startswith(b"\x89PNG") else "jpeg"
    )
    number, flag = np.int32, np.bool_
    track = {
        "name": kinds.Text(), "category": kinds.Text(), "frames": kinds.Sequence(number),
        "bboxes": kinds.Sequence(kinds.BBoxFeature()), "present": kinds.Sequence(flag),
        "occluded": kinds.Sequence(flag), "visibility": kinds.Sequence(np.float32),
        EXACT: kinds.Sequence(kinds.Tensor(shape=(4,), dtype=np.int64)),
    }  # fmt: skip
    metadata = {"name": kinds.Text(), "width": number, "height": number, "num_frames": number}
    return kinds.FeaturesDict(
        {
            "metadata": kinds.FeaturesDict(metadata),
            "video": kinds.Sequence(picture),
            "frame_names": kinds.Sequence(kinds.Text()),
            "tracks": kinds.Sequence(track),
        }
    )


def _example(dataset: Dataset, video: int) -> Example:
    index = dataset.index
    length, size = index.video_length(video), index.video_size(video)
    frames = [frame_of(dataset, video, frame) for frame in range(length)]
    if sum(map(len, frames)) > _LARGEST_RECORD:
        raise DataError(
            f"{dataset.name}: video {index.video_name(video)} has more than 2 GB of frames, too much for one example;"
            " export a preprocessed version"
        )
    numbers = list(index.tracks_of(video))
    tracks = [index.track(number) for number in numbers]
    example: dict[str, Any] = {
        "metadata/name": [_text(index.video_name(video))],
        "metadata/width": np.array([size[0]]),
        "metadata/height": np.array([size[1]]),
        "metadata/num_frames": np.array([length]),
        "video": frames,
        "frame_names": [_text(index.frame_name(video, frame)) for frame in range(length)],
        "tracks/name": [_text(index.track_name(number)) for number in numbers],
        "tracks/category": [_text(track.category) for track in tracks],
    }
    return example | dict(_ragged(tracks, size))


def _ragged(tracks: list[Track], size: tuple[int, int]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Values of all tracks one after another, and how many each has: how TFDS keeps sequences of sequences."""
    lengths = np.array([len(track.frames) for track in tracks], np.int64)
    columns: dict[str, list[NDArray[Any]]] = {
        "frames": [track.frames for track in tracks],
        "bboxes": [relative(track.boxes, size) for track in tracks],
        "present": [track.present for track in tracks],
        "occluded": [track.occluded for track in tracks],
        "visibility": [track.visibility.astype(np.float32) for track in tracks],
        EXACT: [np.ascontiguousarray(track.boxes).view(np.int64) for track in tracks],
    }
    for name, values in columns.items():
        yield f"tracks/{name}/ragged_flat_values", np.concatenate(values) if values else np.zeros(0, np.int64)
        yield f"tracks/{name}/ragged_row_lengths_0", lengths


def relative(boxes: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float32]:
    """(N, 4) y1 x1 y2 x2 in [0, 1] from (N, 4) x y w h in pixels; NaN gives 0."""
    width, height = size
    corners = np.stack([boxes[:, 1], boxes[:, 0], boxes[:, 1] + boxes[:, 3], boxes[:, 0] + boxes[:, 2]], axis=1)
    scaled = np.nan_to_num(corners / [height, width, height, width], nan=0.0)
    return np.clip(scaled, 0.0, 1.0).astype(np.float32)


def _text(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
