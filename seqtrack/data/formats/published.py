"""The data sets that the field knows by name: where each comes from and which layout it has.

One row per name of ``--train_dataset``, ``--eval_datasets`` and ``seqtrack datasets``. Whoever publishes in a layout
that is here needs no row: ``LAYOUT:FOLDER`` names any folder.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One name.

    Attributes:
        layout: the module of ``seqtrack.data.formats`` that reads it.
        part: which part of the publisher's folder it is (``train``); the layout knows what that means.
        home: where to get it.
        licence: what its publisher allows, as far as its page says.
    """

    layout: str
    part: str = ""
    home: str = ""
    licence: str = ""


PUBLISHED: dict[str, Published] = {
    "otb": Published("otb"),
    "otb_50": Published("otb", "50"),
    "otb_100": Published("otb", "100"),
    "otb_cvpr13": Published("otb", "cvpr13"),
    "tc128": Published("tc128"),
    "tc128_ce": Published("tc128", "ce"),
    "vot2013": Published("vot"),
    "vot2014": Published("vot"),
    "vot2015": Published("vot"),
    "vot2016": Published("vot"),
    "vot2017": Published("vot"),
    "vot2018": Published("vot"),
    "vot2018_longterm": Published("vot"),
    "vot2019": Published("vot"),
    "got10k_train": Published("got10k", "train"),
    "got10k_val": Published("got10k", "val"),
    "got10k_test": Published("got10k", "test"),
    "lasot_train": Published("lasot", "train"),
    "lasot_test": Published("lasot", "test"),
    "lasot_ext": Published("lasot", "ext"),
    "trackingnet_train": Published("trackingnet", "train"),
    "trackingnet_test": Published("trackingnet", "test"),
    "uav123": Published("uav123", "uav123"),
    "uav20l": Published("uav123", "uav20l"),
    "dtb70": Published("dtb70"),
    "nfs_30": Published("nfs", "30"),
    "nfs_240": Published("nfs", "240"),
    "nuspro": Published("nuspro"),
    "alov": Published("alov"),
    "tlp": Published("tlp"),
    "ilsvrc_train": Published("ilsvrc", "train"),
    "ilsvrc_val": Published("ilsvrc", "val"),
    "det_train": Published("det", "train"),
    "ytbb_train": Published("ytbb", "train"),
    "ytbb_val": Published("ytbb", "val"),
    "coco_train": Published("coco", "train"),
    "coco_val": Published("coco", "val"),
    "davis": Published("masks", "davis"),
    "ytbvos": Published("masks", "ytbvos"),
}
