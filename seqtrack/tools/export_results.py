"""Writes the tracks of a run as result files, for a benchmark's server or another toolkit."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
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
    add("--eval_set", nargs="+", metavar="ID", help="such as otb_100-full [all that are assessed]")
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
    exports = [
        export(args.format, frames.dataset_name(item.eval_id), item.sampler, _from_the_start(item), name, item.seed)
        for item in _chosen(frames, args.eval_set or _fitting(frames, args.format), args.seed, args.step)
    ]
    for one in _joined(exports):
        try:
            path, was_there = publish(args.out.expanduser(), one, zipped=args.zip, overwrite=args.overwrite)
        except OSError as error:
            raise UserError(f"--out: cannot write to {args.out} ({error.strerror})") from error
        print(f"{path}{' (was there)' if was_there else ''}")
    return 0


def _fitting(frames: RunFrames, format: str) -> list[str]:
    """The eval sets that the format has a place for; says which it has none for."""
    from seqtrack.assessment.exchange.writing import takes

    there = {item.eval_id: item.sampler for item in frames.assessments}
    fitting = [eval_id for eval_id, sampler in there.items() if takes(format, sampler)]
    others = ", ".join(sorted(there.keys() - set(fitting)))
    if others and not fitting:
        raise UserError(
            f"--format {format}: run {frames.run_id} has only {others}; it takes whole sequences"
            " (--eval_samplers full)"
        )
    if others:
        print(f"note: {format} has no place for {others}, so left out", file=sys.stderr)
    return fitting


def _chosen(frames: RunFrames, eval_sets: list[str], seeds: list[int] | None, step: int | None) -> list[Assessed]:
    """The finished assessments meant. UserError that names what there is."""
    there = sorted({item.eval_id for item in frames.assessments})
    if not there:
        raise UserError(f"run {frames.run_id} has no finished assessment; see seqtrack status {frames.run_id}")
    for eval_id in eval_sets:
        if eval_id not in there:
            raise UserError(
                f"--eval_set: run {frames.run_id} has no results of {eval_id!r}; {nearest(eval_id, there)}"
                f" (there are {', '.join(there)})"
            )
    known = sorted({item.seed for item in frames.assessments})
    for seed in seeds or ():
        if seed not in known:
            raise UserError(
                f"--seed: run {frames.run_id} has no results of seed {seed}; there are {', '.join(map(str, known))}"
            )
    pairs = {(item.eval_id, item.seed) for item in frames.assessments}
    return [
        _at_step(frames, eval_id, seed, step)
        for eval_id, seed in sorted(pairs)
        if eval_id in eval_sets and seed in (seeds or known)
    ]


def _at_step(frames: RunFrames, eval_id: str, seed: int, step: int | None) -> Assessed:
    wanted = frames.selected_steps.get(seed) if step is None else step
    mine = [item for item in frames.assessments if (item.eval_id, item.seed) == (eval_id, seed)]
    found = next((item for item in mine if item.step == wanted), None)
    if found is None:
        steps = ", ".join(str(item.step) for item in mine)
        if step is not None:
            raise UserError(f"--step {step}: seed {seed} has no {eval_id} there; there are {steps}")
        what = "its trial is not complete, so no step is selected" if wanted is None else f"not at step {wanted}"
        raise UserError(f"--step: seed {seed} has {eval_id} at step {steps}; {what}: give --step")
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
