"""Where each toolkit puts its result files, told from what is there.

    {tracker}/{seq}.txt                                otb (and pysot, lasot, trackingnet): one file per sequence
    {tracker}/{param}_{run:03d}/{seq}.txt              pytracking: the runs are repetitions
    {tracker}/{seq}/{seq}_{rep:03d}.txt                got10k
    {tracker}/baseline/{seq}/{seq}_{rep:03d}.txt       vot: started again after a failure
    {tracker}/longterm/…, {tracker}/unsupervised/…     vot_longterm, vot_unsupervised: one pass

Folders around these do not matter (``results/GOT-10k/…``), nor whether they lie in a folder, a zip or a tar. Times,
confidences and whatever else lies beside the boxes are files that no sequence has the name of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seqtrack.data.formats import Listing
from seqtrack.data.storage.trees import DirectoryTree, TarTree
from seqtrack.errors import UserError
from seqtrack.schema import nearest

LAYOUTS = ("otb", "pytracking", "got10k", "vot", "vot_longterm", "vot_unsupervised")
SAME_AS = {"pysot": "otb", "lasot": "otb", "trackingnet": "otb"}

_EXPERIMENTS = {"baseline": "vot", "longterm": "vot_longterm", "unsupervised": "vot_unsupervised"}
_IGNORED = ("realtime", "times", "absent")
_NAMELESS = re.compile(r"default(_\d{3})?")
_RUN = re.compile(r"(.+)_(\d{3})")
_DEEPEST = 6
_ARCHIVES = (".zip", ".tar")

Tree = DirectoryTree | TarTree


class _Archive(TarTree):
    """A zip or tar whose members are the files themselves."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "")

    def describe(self, name: str) -> str:
        return f"{self.tar}: {name}"


@dataclass(frozen=True)
class TrackerFiles:
    """One tracker's result files.

    Attributes:
        tracker: what its folder is called, or which of several folders it is.
        layout: one of LAYOUTS.
        files: sequence as the files spell it -> one file per repetition, in order; relative to ``tree``.
        where: names the folder in messages.
        above: what the folder above is called.
    """

    tracker: str
    layout: str
    files: Mapping[str, tuple[str, ...]]
    tree: Tree
    where: str
    above: str = ""


def find_trackers(path: Path, layout: str | None = None, annotations: Path | None = None) -> list[TrackerFiles]:
    """Every tracker whose files lie in a folder, zip or tar, or in zips and tars in a folder, in the order of names.

    Args:
        layout: only files that lie so (one of LAYOUTS or SAME_AS); None: whichever is there.
        annotations: where the truth lies; a folder below ``path`` that is this one holds no results.

    Raises:
        UserError: nothing is there, or nothing that looks like results.
    """
    wanted = _layout(layout)
    path = path.expanduser()
    if not path.exists():
        raise UserError(f"{path}: is not there; expected a folder (or zip) of a tracker's result files")
    if path.is_file() and path.suffix.lower() not in _ARCHIVES:
        raise UserError(
            f"{path}: expected a folder, zip or uncompressed tar of a tracker's result files, one per sequence"
        )
    tree: Tree = DirectoryTree(path, path.name) if path.is_dir() else _Archive(path)
    # The folder that was named may be anything: a tracker's, its experiment's, or one of many trackers.
    name = path.absolute().name if path.is_dir() else path.stem
    truth = None if annotations is None else annotations.expanduser().resolve()
    found = list(_search(tree, "", name, path.absolute().parent.name, truth))
    if wanted is not None:
        found = [one for one in found if one.layout == wanted or (wanted == "pytracking" and one.layout == "otb")]
    if not found:
        like = "" if wanted is None else f" in the {layout} layout"
        raise UserError(
            f"{path}: no result files{like}; expected {{seq}}.txt, {{seq}}/{{seq}}_001.txt or"
            " baseline/{seq}/{seq}_001.txt in the folder of each tracker"
        )
    return _distinct(_with_repetitions(found, is_forced=wanted == "pytracking"))


def _layout(layout: str | None) -> str | None:
    if layout is None or layout in LAYOUTS:
        return layout
    if layout in SAME_AS:
        return SAME_AS[layout]
    raise UserError(f"--layout: {layout!r} is not known; {nearest(layout, [*LAYOUTS, *SAME_AS])}")


def _search(
    tree: Tree, folder: str, name: str, above: str, truth: Path | None, depth: int = 0
) -> Iterator[TrackerFiles]:
    """What lies in ``folder``, called ``name``, and below it, but for the folder ``truth``."""
    listing = tree.list(folder)
    prefix = f"{folder}/" if folder else ""
    if repeated := _repeated(tree, prefix, listing.folders):
        experiment = _EXPERIMENTS.get(name.lower())
        yield TrackerFiles(
            above if experiment else name, experiment or "got10k", repeated, tree, _where(tree, folder), above
        )
        return
    below = [] if depth == _DEEPEST else list(_below(tree, prefix, listing, name, truth, depth))
    flat = {file[:-4]: (prefix + file,) for file in listing.files if _is_boxes(file)}
    # A list of sequences or a readme beside the folders of trackers is no tracker's result.
    if len(flat) > max((len(one.files) for one in below), default=0):
        yield TrackerFiles(name, "otb", flat, tree, _where(tree, folder), above)
    else:
        yield from below


def _below(
    tree: Tree, prefix: str, listing: Listing, name: str, truth: Path | None, depth: int
) -> Iterator[TrackerFiles]:
    is_on_disk = isinstance(tree, DirectoryTree)
    archives = [file for file in listing.files if is_on_disk and file.lower().endswith(_ARCHIVES)]
    for entry in sorted([*listing.folders, *archives]):
        path = Path(tree.describe(prefix + entry))
        if entry.lower() in _IGNORED or (is_on_disk and truth is not None and path.resolve() == truth):
            continue
        if entry in archives:
            yield from _search(_Archive(path), "", path.stem, name, truth, depth + 1)
        else:
            yield from _search(tree, prefix + entry, entry, name, truth, depth + 1)


def _where(tree: Tree, folder: str) -> str:
    return tree.describe(folder).rstrip("/ :")


def _is_boxes(name: str) -> bool:
    return name.endswith(".txt") and not name.endswith("_time.txt")


def _repeated(tree: Tree, prefix: str, folders: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Sequence -> its repetitions, of folders that hold files of their own name and a number."""
    found = {}
    for sequence in folders:
        pattern = re.compile(re.escape(sequence) + r"_(\d+)\.txt")
        numbered = [
            (int(match[1]), file) for file in tree.list(prefix + sequence).files if (match := pattern.fullmatch(file))
        ]
        if numbered:
            found[sequence] = tuple(f"{prefix}{sequence}/{file}" for _, file in sorted(numbered))
        elif not found:
            return {}  # of a folder of many trackers the first says so
    return found


def _with_repetitions(found: list[TrackerFiles], is_forced: bool) -> list[TrackerFiles]:
    """pytracking's runs of one parameter set, made one."""
    groups: dict[tuple[str, str], list[TrackerFiles]] = {}
    for one in found:
        run = _RUN.fullmatch(one.tracker) if one.layout == "otb" else None
        parent = one.where.rpartition("/")[0]
        groups.setdefault((parent, run[1]) if run else (one.where, one.tracker), []).append(one)
    merged = []
    for (_, name), runs in groups.items():
        if len(runs) == 1 and not is_forced:
            merged += runs
            continue
        sequences = dict.fromkeys(sequence for run in runs for sequence in run.files)
        files = {s: tuple(run.files[s][0] for run in runs if s in run.files) for s in sequences}
        layout = "pytracking" if is_forced or runs[0].layout == "otb" else runs[0].layout
        where = runs[0].where if len(runs) == 1 else f"{runs[0].where} … {runs[-1].where.rpartition('/')[2]}"
        merged.append(TrackerFiles(name, layout, files, runs[0].tree, where, runs[0].above))
    return merged


def _distinct(found: list[TrackerFiles]) -> list[TrackerFiles]:
    """Trackers by names that tell them apart: default of pytracking's is called by the folder above, and so are those
    of one name (ATOM/params, DiMP/params)."""
    found = [
        replace(one, tracker=one.above) if _NAMELESS.fullmatch(one.tracker) and one.above else one for one in found
    ]
    names = [one.tracker for one in found]
    layouts = {one.layout for one in found}
    return [
        replace(one, tracker="/".join([*one.where.split("/")[-2:-1], one.tracker]))
        if names.count(one.tracker) > 1 and len(layouts) == 1
        else one
        for one in found
    ]
