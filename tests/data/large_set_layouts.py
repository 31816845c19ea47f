"""A small data set of each benchmark that needs more than a folder per sequence, or labels several objects a picture.

As ``single_target_layouts``, for what all layouts have in common; the files are those of the layouts' own tests.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.data.formats import (
    test_coco,
    test_got10k,
    test_imagenet,
    test_lasot,
    test_masks,
    test_trackingnet,
    test_ytbb,
)
from tests.data.layouts import write_frames, write_text


def write_got10k(root: Path) -> Path:
    for number in (1, 2):
        boxes = f"{number}.0000,2.0000,3.5000,4.0000\n5.0000,6.0000,7.0000,8.0000\n"
        name = f"GOT-10k_Train_00000{number}"
        test_got10k.write_sequence(root / "train" / name, boxes, absence="0\n1\n", cover="8\n0\n", frames=2)
    write_text(root / "train" / "list.txt", "GOT-10k_Train_000002\nGOT-10k_Train_000001\n")
    return root


def write_lasot(root: Path) -> Path:
    for name in ("airplane-2", "airplane-10"):
        test_lasot.write_sequence(root / "airplane" / name)
    return root


def write_trackingnet(root: Path) -> Path:
    for subset, video in (("TRAIN_0", "a_0"), ("TRAIN_2", "b_0")):
        test_trackingnet.write_video(root / subset, video, "1.5,2.0,3,4.25\n" * 3, frames=3)
    write_text(root / "TRAIN_0_classinfo.txt", "a_0,21\n")
    write_text(root / "trackingnet_classmap.txt", "b_0\tpotted plant\n")
    return root


def write_ilsvrc(root: Path) -> Path:
    one, other = test_imagenet.vid_object(0, (0, 2, 9, 11)), test_imagenet.vid_object(2, (5, 5, 5, 5))
    test_imagenet.write_video(root, test_imagenet.TRAIN, {0: one, 1: one + other, 2: "", 3: one})
    return root


def write_det(root: Path) -> Path:
    for number in (1, 2):
        name = f"DET/train/ILSVRC2013_train/n02121808/n02121808_{number}"
        write_frames((root / "Data" / name).parent, [number], "n02121808_{}.JPEG")
        objects = test_imagenet.det_object((0, 0, 31, 23)) + test_imagenet.det_object((4, 5, 4, 9))
        write_text(root / "Annotations" / f"{name}.xml", test_imagenet.annotation(objects))
    return root


def write_ytbb(root: Path) -> Path:
    write_text(root / "yt_bb_detection_train.csv", test_ytbb.TABLE)
    write_frames(root / "yt_bb_detection_train" / "7", [0, 1000, 2000, 10000], "AAB6lO-XiKE_{}_7_0.jpg")
    return root


def write_coco(root: Path) -> Path:
    write_frames(root / "train2017", [9, 25, 30, 34], "{:012d}.jpg")
    write_text(root / "annotations" / "instances_train2017.json", json.dumps(test_coco.instances()))
    return root


def write_davis(root: Path) -> Path:
    folders = root / "JPEGImages" / "480p" / "bear", root / "Annotations" / "480p" / "bear"
    test_masks.write_video(*folders, 3, {t: {1: (t, 2, 10, 5)} for t in range(3)})
    return root


def write_ytbvos(root: Path) -> Path:
    folders = root / "train" / "JPEGImages" / "v", root / "train" / "Annotations" / "v"
    test_masks.write_video(*folders, 6, {0: {1: (1, 2, 3, 4)}, 5: {1: (2, 2, 3, 4), 2: (20, 10, 5, 5)}})
    objects = {"1": {"category": "penguin", "frames": ["00000", "00005"]}}
    write_text(root / "train" / "meta.json", json.dumps({"videos": {"v": {"objects": objects}}}))
    return root


def write_clean(root: Path) -> Path:
    boxes, others = [[1.0, 2.0, 12.0, 9.0, 1, 0]], [[1.0, 2.0, 12.0, 9.0, 1, 1], [3.0, 3.0, 9.0, 9.0, 1, 0]]
    names = [f"v_0_{frame}.jpg" for frame in range(2)]
    sequence = {"frames": names, "bboxes": [np.array(boxes), np.array(others)], "frame_id": [0, 1], "category": 1}
    write_frames(root, range(2), "v_0_{}.jpg")
    content = {"categories": [{"id": 1, "name": "cat"}], "seqs": [sequence]}
    (root / "set_clean.pkl").write_bytes(pickle.dumps(content, protocol=2))
    return root


WRITERS: list[tuple[str, str, Callable[[Path], Path]]] = [
    ("got10k", "train", write_got10k), ("lasot", "train", write_lasot), ("trackingnet", "train", write_trackingnet),
    ("ilsvrc", "train", write_ilsvrc), ("det", "train", write_det), ("ytbb", "train", write_ytbb),
    ("coco", "train", write_coco), ("clean", "", write_clean), ("masks", "davis", write_davis),
    ("masks", "ytbvos", write_ytbvos),
]  # fmt: skip
"""Layout, part, and what writes a data set of it."""
