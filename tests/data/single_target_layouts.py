"""A small data set of each benchmark that labels one target per sequence, as its publisher lays it out.

Frames are 32×24. ``FIXTURES`` has one of each kind, for what all layouts have in common.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.data.layouts import SIZE, Summary, boxes_text, jpeg, write_frames, write_text
from tests.data.otb_layout import small_data_set


def numbered(folder: str, numbers: Iterable[int], pattern: str) -> dict[str, bytes]:
    """Many names for one picture: nothing but the first header is read."""
    picture = jpeg(*SIZE)
    return {f"{folder}/{pattern.format(number)}": picture for number in numbers}


def write_files(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def write_otb(root: Path) -> Path:
    return small_data_set(root, sequences=3, frames=4)


def write_vot(root: Path) -> Path:
    write_frames(root / "ants" / "color", range(1, 7))
    write_text(root / "ants" / "groundtruth.txt", "1,2,11,2,11,10,1,10\n" * 5 + "nan,nan,nan,nan,nan,nan,nan,nan\n")
    write_text(root / "ants" / "occlusion.tag", "0\n1\n")
    write_frames(root / "bag", range(1, 5))
    write_text(root / "bag" / "groundtruth.txt", "1,2,10,8\n" * 4)
    write_text(root / "list.txt", "bag\nants\n")
    return root


def write_tc128(root: Path) -> Path:
    """Frames.txt says which files are labelled; spellings and delimiters vary."""
    for name, numbers, first, delimiter in (
        ("Bird", range(1, 7), 1, ","),
        ("Hurdle_ce2", range(1, 9), 3, "\t"),
        ("Airport_ce", range(1, 5), 1, " "),
    ):
        folder, last = root / "Temple-color-128" / name, numbers[-1]
        write_frames(folder / "img", numbers, "{:04d}.jpg")
        write_text(folder / f"{name}_gt.txt", boxes_text(last - first + 1).replace(",", delimiter))
        write_text(folder / f"{name.lower()}_frames.txt", f"{first},{last}\n")
    return root


def uav123_files() -> dict[str, bytes]:
    """uav6 (109 frames) is a video of its own, truck4 (1,261) is cut in two, person20 (1,783) is in UAV20L too."""
    frames = {
        name: data
        for video, count in (("uav6", 109), ("truck4", 1261), ("person20", 1783))
        for name, data in numbered(f"UAV123/data_seq/UAV123/{video}", range(1, count + 1), "{:06d}.jpg").items()
    }
    texts = {
        "anno/UAV123/uav6.txt": "1,1,10,8\n" * 106 + "NaN,NaN,NaN,NaN\n" * 3,
        "anno/UAV123/truck4_1.txt": "2,3,10,8\n" * 577,
        "anno/UAV123/truck4_2.txt": "4,5,10,8\n" * 685,
        "anno/UAV123/person20.txt": "2,3,10,8\n" * 1783,
        "anno/UAV20L/person20.txt": boxes_text(1783),
        "anno/UAV123/att/uav6.txt": "1,0,0,1\n",
        "configSeqs.m": "as in the publisher's archive\n",
        "README.txt": "as in the publisher's archive\n",
    }
    return frames | {f"UAV123/{name}": text.encode() for name, text in texts.items()}


def write_uav123(root: Path) -> Path:
    """uav6, and a video that is not the publisher's: all of its frames are labelled."""
    write_files(root, {name: data for name, data in uav123_files().items() if "uav6" in name})
    write_frames(root / "UAV123" / "data_seq" / "UAV123" / "mine", range(1, 5), "{:06d}.jpg")
    write_text(root / "UAV123" / "anno" / "UAV123" / "mine.txt", boxes_text(4))
    return root


def write_dtb70(root: Path) -> Path:
    for name, count in (("Animal1", 6), ("BMX2", 5)):
        write_frames(root / "DTB70" / name / "img", range(1, count + 1), "{:05d}.jpg")
        write_text(root / "DTB70" / name / "groundtruth_rect.txt", boxes_text(count))
    return root


def vatic(count: int, label: str = "ball", lost: Iterable[int] = (), occluded: Iterable[int] = ()) -> str:
    """Row t has the corners t, 2, t + 10, 10."""
    return "".join(
        f'0 {t} 2 {t + 10} 10 {t + 1} {int(t in set(lost))} {int(t in set(occluded))} 1 "{label}"\n'
        for t in range(count)
    )


def write_nfs(root: Path) -> Path:
    """44 frames at 240 per second, 6 at 30; the label of the second has a space."""
    for name, label in (("bee", "insect"), ("beach_flipback_person", "person head")):
        for fps, count in (("240", 44), ("30", 6)):
            write_frames(root / name / fps / name, range(1, count + 1), "{:05d}.jpg")
            write_text(root / name / fps / f"{name}.txt", vatic(44, label, lost=[8], occluded=[7, 8]))
    return root


def write_nuspro(root: Path) -> Path:
    for name, count in (("airplane_001", 6), ("pedestrian_002", 4)):
        write_frames(root / name, range(1, count + 1), "{:05d}.jpg")
        write_text(root / name / "groundtruth.txt", "".join(f"{t} 2 {t + 10} 10\n" for t in range(count)))
    return root


def write_alov(root: Path) -> Path:
    """Frames 1, 6 and 11 of eleven are labelled, with corners in two orders."""
    for aspect, video, corners in (
        ("01-Light", "01-Light_video00001", "12 10 2 10 2 3 12 3"),
        ("14-LongDuration", "14-LongDuration_video00002", "2 3 12 3 12 10 2 10"),
    ):
        write_frames(root / "imagedata++" / aspect / video, range(1, 12))
        truth = root / "alov300++_rectangleAnnotation_full" / aspect / f"{video}.ann"
        write_text(truth, "".join(f"{number} {corners}\n" for number in (1, 6, 11)))
    return root


def write_tlp(root: Path) -> Path:
    for name, count in (("Alladin", 6), ("Aquarium1", 4)):
        write_frames(root / name / "img", range(1, count + 1), "{:05d}.jpg")
        rows = "".join(f"{t},{t + 1},2,10,8,{int(t == 3)}\n" for t in range(1, count + 1))
        write_text(root / name / "groundtruth_rect.txt", rows)
    return root


def write_pysot(root: Path, name: str = "VOT2018") -> Path:
    """Two sequences as VOT has them, polygons and boxes, with a frame of no target and tags."""
    records = {}
    for sequence, rows in (
        ("ants1", [[1.0, 2.0, 11.0, 2.0, 11.0, 10.0, 1.0, 10.0]] * 3 + [[0]]),
        ("conduction1", [[1, 2, 10, 8]] * 5),
    ):
        write_frames(root / sequence / "color", range(1, len(rows) + 1))
        records[sequence] = {
            "video_dir": sequence,
            "init_rect": rows[0],
            "img_names": [f"{sequence}/color/{t:08d}.jpg" for t in range(1, len(rows) + 1)],
            "gt_rect": rows,
            "occlusion": [0] * (len(rows) - 1) + [1],
            "width": SIZE[0],
            "height": SIZE[1],
        }
    write_text(root / f"{name}.json", json.dumps(records))
    return root


@dataclass(frozen=True)
class Fixture:
    layout: str
    part: str
    write: Callable[[Path], Path]
    expected: Summary
    truth: str
    """A file of labels, relative to the root."""
    row: str
    """What its row for the box x, y, width, height looks like; ``{x2}`` and ``{y2}`` stand for the other corner."""


FIXTURES = [
    Fixture("otb", "", write_otb, Summary(3, 3, 12, 12, 0), "Seq1/groundtruth_rect.txt", "{x},{y},{w},{h}"),
    Fixture("vot", "", write_vot, Summary(2, 2, 10, 10, 1), "bag/groundtruth.txt", "{x},{y},{w},{h}"),
    Fixture(
        "tc128", "", write_tc128, Summary(3, 3, 18, 16, 0),
        "Temple-color-128/Bird/Bird_gt.txt", "{x},{y},{w},{h}",
    ),
    Fixture(
        "tc128", "ce", write_tc128, Summary(2, 2, 12, 10, 0),
        "Temple-color-128/Hurdle_ce2/Hurdle_ce2_gt.txt", "{x},{y},{w},{h}",
    ),
    Fixture(
        "uav123", "uav123", write_uav123, Summary(2, 2, 113, 113, 3),
        "UAV123/anno/UAV123/mine.txt", "{x},{y},{w},{h}",
    ),
    Fixture(
        "dtb70", "", write_dtb70, Summary(2, 2, 11, 11, 0), "DTB70/BMX2/groundtruth_rect.txt", "{x},{y},{w},{h}"
    ),
    Fixture(
        "nfs", "240", write_nfs, Summary(2, 2, 88, 88, 2), "bee/240/bee.txt", '0 {x} {y} {x2} {y2} 1 0 0 0 "ball"'
    ),
    Fixture(
        "nfs", "30", write_nfs, Summary(2, 2, 12, 12, 2), "bee/30/bee.txt", '0 {x} {y} {x2} {y2} 1 0 0 0 "ball"'
    ),
    Fixture(
        "nuspro", "", write_nuspro, Summary(2, 2, 10, 10, 0),
        "airplane_001/groundtruth.txt", "{x} {y} {x2} {y2}",
    ),
    Fixture(
        "alov", "", write_alov, Summary(2, 2, 22, 6, 0),
        "alov300++_rectangleAnnotation_full/01-Light/01-Light_video00001.ann",
        "{n} {x} {y} {x2} {y} {x2} {y2} {x} {y2}",
    ),
    Fixture(
        "tlp", "", write_tlp, Summary(2, 2, 10, 10, 2),
        "Aquarium1/groundtruth_rect.txt", "{n},{x},{y},{w},{h},0",
    ),
    Fixture("pysot", "", write_pysot, Summary(2, 2, 9, 9, 1), "VOT2018.json", ""),
]  # fmt: skip
