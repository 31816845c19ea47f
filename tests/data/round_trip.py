"""That a data set stays what it is on its way from the publisher's folder through a tar into an index, and through
smaller versions of it."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from seqtrack.data.formats import DatasetName, find_layout
from seqtrack.data.indexing.index import ensure_index
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from tests.data.layouts import read, write_tar
from tests.data.smaller import assert_smaller_versions_agree


def assert_round_trip(layout: str, root: Path, part: str, folder: Path) -> None:
    """Read from the folder, and from the index of a tar of it, whose entries travelled to another process.

    Args:
        folder: an empty one, for the tar and the index.
    """
    name = DatasetName(layout, root.name, part)
    videos = read(layout, root, part)

    entries = list(find_layout(layout).find(DirectoryTree(root, root.name), part))
    assert pickle.loads(pickle.dumps(entries)) == entries

    files = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    members = {f"{root.name}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}
    tree = TarTree(write_tar(folder / f"{root.name}.tar", members), root.name)
    index = ensure_index(name, tree, folder / "cache", on_message=lambda _: None)

    assert [index.video_name(number) for number in range(index.num_videos)] == [video.name for video in videos]
    number = 0
    for place, video in enumerate(videos):
        assert [index.frame_name(place, t) for t in range(len(video.frame_names))] == video.frame_names
        assert index.video_size(place) == video.size
        for track in video.tracks:
            kept = index.track(number)
            assert (index.track_name(number), index.track_video(number)) == (track.name, place)
            assert kept.category == track.category
            np.testing.assert_array_equal(kept.frames, track.frames)
            np.testing.assert_array_equal(kept.boxes, track.boxes)
            np.testing.assert_array_equal(kept.present, track.present)
            np.testing.assert_array_equal(kept.occluded, track.occluded)
            visibility = track.present if track.visibility is None else track.visibility
            np.testing.assert_array_equal(kept.visibility, np.asarray(visibility, np.float16))
            polygons = index.polygons(number)
            assert (polygons is None) == (track.polygons is None)
            if polygons is not None:
                np.testing.assert_array_equal(polygons, track.polygons)
            number += 1
    assert index.num_tracks == number
    assert_smaller_versions_agree(name, root, folder / "smaller")
