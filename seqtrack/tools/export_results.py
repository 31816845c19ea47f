"""Writes the tracks of a run as result files, for a benchmark's server or another toolkit."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqtrack.errors import UserError
from seqtrack.schema import nearest
from seqtrack.tools.cli import Parser, run
from seqtrack.tools.runs import add_run

if TYPE_CHECKING:
    from seqtrack.assessment.exchange.writing import Export
    from seqtrack.assessment.results import SequenceResult
    from seqtrack.reporting.frames import Assessed, RunFrames

_FORMATS = ("otb", "pysot", "pytracking", "got10k", "lasot", "trackingnet", "vot")
_EPILOG = """\
formats (each seed is a tracker of its own, NAME_seed0, …):
  otb, pysot,   {out}/{dataset}/NAME_seed0/{seq}.txt, x,y,w,h: three names of one layout
    lasot
  trackingnet   the same; with --zip what its server takes
  got10k        {out}/GOT-10k/NAME_seed0/{seq}/{seq}_001.txt and _time.txt; with --zip what its server takes;
                of other benchmarks what the toolkit's experiments read: {out}/OTB2015/NAME_seed0/{seq}.txt
  pytracking    {out}/NAME/default_000/{seq}.txt and _time.txt: the run is the seed
  vot           {out}/{dataset}/NAME_seed0/baseline/{seq}/{seq}_001.txt with codes; of one pass longterm/ or
                unsupervised/

A set that was assessed in several ways is exported as the newest command has it; of another way give the name that
it has in a report: --eval_set "otb_100-full (eval_tre_num 3)".
Coordinates are the benchmark's own (OTB counts pixels from 1), with all digits, so that scores agree: check with
seqtrack score. What is there already stays as it is if it is the same.

examples:
  seqtrack export_results latest --format otb
  seqtrack export_results baseline --format got10k --eval_set got10k_test-full --zip --out submission
  seqtrack export_results 3f2a --format vot --eval_set vot2018-supervised --seed 0 --step 50000
"""


def build_parser() -> Parser:
    parser = Parser(prog="seqtrack export_results", description=__doc__, epilog=_EPILOG)
    add_run(parser, is_required=True)
    add = parser.add_argument
    add("--format", required=True, choices=_FORMATS, help="whose layout")
    add("--seed", type=int, nargs="+", metavar="K", help="trials [all]")
    add("--step", type=int, metavar="N", help="checkpoint [the one that each trial is reported at]")
    add("--eval_set", nargs="+", default=[], metavar="SET", help="only these: otb_100 or otb_100-full [every one]")
    add("--out", type=Path, default=Path("results"), metavar="PATH", help="folder to write to [results]")
    add("--name", help="what the tracker is called [the run's name, or its id]")
    add("--zip", action="store_true", help="one zip per tracker instead of a folder, as servers take it")
    add("--overwrite", action="store_true", help="replace other results that are there")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.assessment.exchange.writing import export, publish
    from seqtrack.reporting.frames import load_run

    frames = load_run(args.run, args.cache_dir)
    name = frames.name or frames.run_id if args.name is None else args.name
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*", name):
        raise UserError(f"--name: {name!r}: expected letters, digits, '_', '.', '-', '+'")
    sets = _chosen_sets(frames, args.eval_set, args.format)
    exports = [
        export(args.format, frames.dataset_name(item.eval_id), item.sampler, _from_the_start(item), name, item.seed)
        for item in _chosen(frames, sets, args.seed, args.step)
    ]
    for one in _joined(exports):
        try:
            path, was_there = publish(args.out.expanduser(), one, zipped=args.zip, overwrite=args.overwrite)
        except OSError as error:
            raise UserError(f"--out: cannot write to {args.out} ({error.strerror})") from error
        print(f"{path}{' (was there)' if was_there else ''}")
    return 0


def _chosen_sets(frames: RunFrames, wanted: Sequence[str], format: str) -> dict[str, list[Assessed]]:
    """The finished assessments meant, by name of the eval set. UserError that names what there is."""
    from seqtrack.assessment.protocols import dataset_of
    from seqtrack.reporting.later import all_ways

    there = all_ways(frames)
    if not there:
        raise UserError(f"run {frames.run_id} has no finished assessment; see seqtrack status {frames.run_id}")
    ids = {name: items[0].eval_id for name, items in there.items()}
    names: list[str] = []
    if not wanted:
        ways = {eval_id: _ways(ids, eval_id) for eval_id in ids.values()}
        clear = [found[0] for found in ways.values() if len(found) == 1]
        for eval_id in ways if clear else ():
            if len(ways[eval_id]) > 1:
                print(f"note: left out: {_several(eval_id, ways[eval_id])}", file=sys.stderr)
        names = _fitting(frames, there, clear or [_one_way(ids, next(iter(ways)))], format)
    for name in wanted:
        of_dataset = {_one_way(ids, eval_id): None for eval_id in ids.values() if dataset_of(eval_id) == name}
        if name in there:
            names.append(name)
        elif name in ids.values():
            names.append(_one_way(ids, name))
        elif of_dataset:
            names += _fitting(frames, there, of_dataset, format)
        else:
            raise UserError(
                f"--eval_set: run {frames.run_id} has no results of {name!r}; {nearest(name, there)}"
                f" (there are {', '.join(there)})"
            )
    return {name: there[name] for name in sorted(names)}


def _ways(ids: Mapping[str, str], eval_id: str) -> list[str]:
    """Of the names of an eval set that of the newest command, or all that it has. ids: eval ids by name."""
    return [eval_id] if ids.get(eval_id) == eval_id else [name for name in ids if ids[name] == eval_id]


def _one_way(ids: Mapping[str, str], eval_id: str) -> str:
    name, *more = _ways(ids, eval_id)
    if more:
        raise UserError(f"--eval_set: {_several(eval_id, [name, *more])}")
    return name


def _several(eval_id: str, ways: Sequence[str]) -> str:
    return f"{eval_id} was assessed in {len(ways)} ways; give one by name: {', '.join(ways)}"


def _fitting(frames: RunFrames, there: Mapping[str, list[Assessed]], names: Iterable[str], format: str) -> list[str]:
    """Those that the format has a place for; says which it has none for."""
    from seqtrack.assessment.exchange.writing import takes

    fitting = [name for name in names if takes(format, there[name][0].sampler)]
    others = ", ".join(sorted(set(names) - set(fitting)))
    if others and not fitting:
        raise UserError(
            f"--format {format}: run {frames.run_id} has only {others}; it takes whole sequences"
            " (--eval_samplers full)"
        )
    if others:
        print(f"note: {format} has no place for {others}, so left out", file=sys.stderr)
    return fitting


def _chosen(
    frames: RunFrames, sets: Mapping[str, list[Assessed]], seeds: list[int] | None, step: int | None
) -> list[Assessed]:
    """Of each set and trial the assessment meant. UserError that names what there is."""
    known = sorted({item.seed for items in sets.values() for item in items})
    for seed in seeds or ():
        if seed not in known:
            raise UserError(
                f"--seed: run {frames.run_id} has no results of seed {seed}; there are {', '.join(map(str, known))}"
            )
    return [
        _at_step(frames, name, [item for item in items if item.seed == seed], step)
        for name, items in sets.items()
        for seed in sorted({item.seed for item in items})
        if seed in (seeds or known)
    ]


def _at_step(frames: RunFrames, name: str, mine: list[Assessed], step: int | None) -> Assessed:
    """mine: one trial's on one eval set."""
    seed = mine[0].seed
    wanted = frames.selected_steps.get(seed) if step is None else step
    found = next((item for item in mine if item.step == wanted), None)
    if found is None:
        steps = ", ".join(str(item.step) for item in mine)
        if step is not None:
            raise UserError(f"--step {step}: seed {seed} has no {name} there; there are {steps}")
        what = "its trial is not complete, so no step is selected" if wanted is None else f"not at step {wanted}"
        raise UserError(f"--step: seed {seed} has {name} at step {steps}; {what}: give --step")
    return found


def _from_the_start(item: Assessed) -> list[SequenceResult]:
    """The runs from the first frame of each sequence: OPE's and its repetitions, but no further starts of TRE."""
    from seqtrack.assessment.results import load_results

    runs = load_results(item.path)
    first = {run.name: int(run.frames[0]) for run in runs if run.start == 0}
    return [run for run in runs if int(run.frames[0]) == first[run.name]]


def _joined(exports: list[Export]) -> list[Export]:
    """pytracking has the results on all benchmarks in one folder."""
    from seqtrack.assessment.exchange.writing import Export

    files: dict[str, dict[str, str]] = {}
    for one in exports:
        known = files.setdefault(one.folder, {})
        if twice := known.keys() & one.files.keys():
            raise UserError(f"--eval_set: two sets have a sequence of the name {min(twice)}; export one of them")
        known |= one.files
    return [Export(folder, found) for folder, found in files.items()]


if __name__ == "__main__":
    sys.exit(run(main))
