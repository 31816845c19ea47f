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
        licence: what its publisher allows, as far as its page says; '' where no statement of it was found.
    """

    layout: str
    part: str = ""
    home: str = ""
    licence: str = ""


ONE_BASED = ("otb", "cvpr13", "uav", "tc128", "dtb70")
"""How the names of pysot's JSONs begin whose benchmark was made with MATLAB, which counts pixels from 1."""

_OTB = "http://cvlab.hanyang.ac.kr/tracker_benchmark/datasets.html"
_TC128 = "https://www.dabi.temple.edu/~hbling/data/TColor-128/TColor-128.html"
_UAV = "https://cemse.kaust.edu.sa/ivul/uav123"
_NFS = "http://ci2cv.net/nfs/index.html"
_VOT = "https://www.votchallenge.net/{}/dataset.html"
_GOT10K = ("http://got-10k.aitestunion.com/downloads", "after registration; see its page")
_LASOT = ("http://vision.cs.stonybrook.edu/~lasot/", "see its page")
_TRACKINGNET = (
    "https://github.com/SilvioGiancola/TrackingNet-devkit",
    "GPL-3.0 as its data card says; the videos are their owners', on YouTube",
)
_IMAGENET = ("https://image-net.org/challenges/LSVRC/", "non-commercial research and education, after registration")
_YTBB = (
    "https://research.google.com/youtube-bb/",
    "annotations CC BY 4.0; the videos are their owners', on YouTube",
)
_COCO = (
    "https://cocodataset.org/#download",
    "annotations CC BY 4.0; the pictures are their owners', from Flickr",
)
_PYSIAM = "https://github.com/microsoft/PySiamTracking"

PUBLISHED: dict[str, Published] = {
    "otb": Published("otb", home=_OTB),
    "otb_50": Published("otb", "50", home=_OTB),
    "otb_100": Published("otb", "100", home=_OTB),
    "otb_cvpr13": Published("otb", "cvpr13", home=_OTB),
    "tc128": Published("tc128", home=_TC128),
    "tc128_ce": Published("tc128", "ce", home=_TC128),
    "vot2013": Published("vot", home=_VOT.format("vot2013")),
    "vot2014": Published("vot", home=_VOT.format("vot2014")),
    "vot2015": Published("vot", home=_VOT.format("vot2015")),
    "vot2016": Published("vot", home=_VOT.format("vot2016")),
    "vot2017": Published("vot", home=_VOT.format("vot2017")),
    "vot2018": Published("vot", home=_VOT.format("vot2018")),
    "vot2018_longterm": Published("vot", home=_VOT.format("vot2018")),
    "vot2019": Published("vot", home=_VOT.format("vot2019")),
    "got10k_train": Published("got10k", "train", *_GOT10K),
    "got10k_val": Published("got10k", "val", *_GOT10K),
    "got10k_test": Published("got10k", "test", *_GOT10K),
    "lasot_train": Published("lasot", "train", *_LASOT),
    "lasot_test": Published("lasot", "test", *_LASOT),
    "lasot_ext": Published("lasot", "ext", *_LASOT),
    "trackingnet_train": Published("trackingnet", "train", *_TRACKINGNET),
    "trackingnet_test": Published("trackingnet", "test", *_TRACKINGNET),
    "uav123": Published("uav123", "uav123", home=_UAV),
    "uav20l": Published("uav123", "uav20l", home=_UAV),
    "dtb70": Published("dtb70", home="https://github.com/flyers/drone-tracking"),
    "nfs_30": Published("nfs", "30", home=_NFS),
    "nfs_240": Published("nfs", "240", home=_NFS),
    "nuspro": Published("nuspro", home="https://sites.google.com/site/li00annan/nus-pro"),
    "alov": Published("alov", home="http://isis-data.science.uva.nl/alov/"),
    "tlp": Published("tlp", home="https://amoudgl.github.io/tlp/"),
    "ilsvrc_train": Published("ilsvrc", "train", *_IMAGENET),
    "ilsvrc_val": Published("ilsvrc", "val", *_IMAGENET),
    "det_train": Published("det", "train", *_IMAGENET),
    "ytbb_train": Published("ytbb", "train", *_YTBB),
    "ytbb_val": Published("ytbb", "val", *_YTBB),
    "coco_train": Published("coco", "train", *_COCO),
    "coco_val": Published("coco", "val", *_COCO),
    "davis": Published("masks", "davis", "https://davischallenge.org/", "see its page"),
    "ytbvos": Published("masks", "ytbvos", "https://youtube-vos.org/", "non-commercial research, see its page"),
    "coco_clean": Published("clean", "coco", _PYSIAM, "crops of COCO; its licence holds"),
    "got10k_train_clean": Published("clean", "got10k_train", _PYSIAM, "crops of GOT-10k; its licence holds"),
    "lasot_train_clean": Published("clean", "lasot_train", _PYSIAM, "crops of LaSOT; its licence holds"),
    "trackingnet_clean": Published("clean", "trackingnet", _PYSIAM, "crops of TrackingNet; its licence holds"),
}
