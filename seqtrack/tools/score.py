"""Scores any tracker's result files, in the layout and by the rules of any toolkit."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.errors import DataError, UserError
from seqtrack.tools import places
from seqtrack.tools.cli import Parser, run
from seqtrack.tools.score_tables import print_scores, screen_width

if TYPE_CHECKING:
    from seqtrack.assessment.exchange.layouts import TrackerFiles
    from seqtrack.assessment.exchange.scored import Scored
    from seqtrack.assessment.scores import Labels
    from seqtrack.data.formats import DatasetName

_EPILOG = f"""\
RESULTS is a tracker's folder (or zip, or uncompressed tar) of result files, a folder of several trackers, wherever
below it they lie, or several of those:
  {{seq}}.txt                                 OTB, pysot, LaSOT, TrackingNet; with commas, tabs or spaces
  {{param}}_{{run:03d}}/{{seq}}.txt             pytracking; its runs are repetitions
  {{seq}}/{{seq}}_{{rep:03d}}.txt               the got10k toolkit and server
  baseline/{{seq}}/{{seq}}_{{rep:03d}}.txt      VOT, supervised; longterm/… and unsupervised/… likewise
Names may be spelled in any toolkit's way (Jogging-1, Jogging_1, Jogging.1, uav_bike1). A missing or short result is
an error that lists all of them, unless they are to count as failures: --allow_missing takes a sequence without
results as lost in every frame (VOT, supervised: as failed in the frame after each start, with an accuracy of 0);
--allow_short does so with the rows that are missing at the end, of one pass only.

--annotations is a folder of {{seq}}.txt, pysot's JSON, or the publisher's own folder; without it the data set is
looked for as everywhere. Boxes and annotations are compared as they are written: both count pixels from where the
publisher does (OTB: from 1). Conventions: otb, got10k, pysot, pysot_all_frames, pytracking, lasot, vot; how they
differ is in docs/metrics.md. {places.EPILOG}

examples:
  seqtrack score results/OTB100/KCF --benchmark otb_100 --annotations anno/otb
  seqtrack score results/OTB100 --benchmark otb_100 --convention pysot --data_dir /data
  seqtrack score SiamFC.zip --benchmark got10k_val --data_paths got10k_val=/data/GOT-10k --json | jq .ao
"""
_WORST = 5


def build_parser() -> Parser:
    parser = Parser(prog="seqtrack score", description=__doc__, epilog=_EPILOG)
    add = parser.add_argument
    add(
        "results",
        metavar="RESULTS",
        nargs="+",
        type=Path,
        help="folder or zip of result files, of one tracker or more",
    )
    add("--benchmark", metavar="NAME", help="what they are results of: a published name, or LAYOUT:FOLDER")
    add("--convention", metavar="NAME", help="by whose rules frames are counted [the benchmark's own]")
    add("--annotations", metavar="PATH", type=Path, help="the truth, where the data set itself is not here")
    add("--layout", metavar="NAME", help="take only files that lie so [whichever is there]")
    add("--allow_missing", action="store_true", help="sequences without results are failures")
    add(
        "--allow_short",
        action="store_true",
        help="rows that are missing at the end are failures; not of restarts",
    )
    add("--per_sequence", action="store_true", help="show every sequence")
    add("--by_tag", action="store_true", help="show VOT's scores over the frames with each tag")
    add("--csv", metavar="FILE", type=Path, help="write a row per tracker and sequence")
    add("--json", action="store_true", help="print one object instead")
    places.add_places(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    from seqtrack.assessment.exchange.annotations import from_data, read_annotations
    from seqtrack.assessment.exchange.benchmarks import SERVED
    from seqtrack.assessment.exchange.doubts import doubts
    from seqtrack.assessment.exchange.layouts import find_trackers
    from seqtrack.assessment.exchange.reading import read_results
    from seqtrack.assessment.exchange.scored import convention_of, score_results
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.locations import located

    found = [files for path in args.results for files in find_trackers(path, args.layout, args.annotations)]
    if args.benchmark is None:
        raise UserError(f"--benchmark: of which benchmark are these results? {_guess(found)}")
    benchmark = parse_dataset_name(_published(args.benchmark))
    found = _of_one_protocol(found, benchmark)
    convention_of(found[0].layout, benchmark, args.convention)  # a mistake in it need not wait for the files
    locations = places.places_of(args)
    if args.annotations is not None:
        labels = read_annotations(args.annotations, benchmark, locations)
    elif located(benchmark, locations, locations.preproc) is None and str(benchmark) not in SERVED:
        raise UserError(
            f"data set {benchmark} is not here: give its --annotations (a folder of {{seq}}.txt, or pysot's JSON),"
            " or --data_dir, --tar_dir or --data_paths"
        )
    else:
        labels = from_data(benchmark, locations)
    if benchmark.layout == "lasot" and all(one.present.all() for one in labels):
        print(
            "note: no annotation says where the target is absent, so it counts as in view everywhere", file=sys.stderr
        )
    if args.annotations is not None and _is_above(args.results, args.annotations):
        trackers = ", ".join(files.tracker for files in found)
        print(f"note: {args.annotations} is the truth and no tracker; found are {trackers}", file=sys.stderr)
    allowed = {"allow_missing": args.allow_missing, "allow_short": args.allow_short}
    read, faults = [], []
    for files in _of_benchmark(found, labels):
        try:
            read.append(read_results(files, labels, benchmark, **allowed))
        except DataError as error:  # one message names what is wrong of all trackers
            faults.append(str(error))
    if faults:
        raise DataError("; ".join(faults))
    scored = []
    for results in read:
        for doubt in doubts(results, labels):
            print(f"note: {results.tracker}: {doubt}", file=sys.stderr)
        scored.append(score_results(results, labels, benchmark, args.convention))
    names = _names(scored)
    if args.csv is not None:
        _write_csv(args.csv, names, scored)
    if args.json:
        objects = {name: _object(name, one, benchmark) for name, one in zip(names, scored, strict=True)}
        value = objects if len(objects) > 1 else objects[names[0]]
        print(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False))
    else:
        _show(names, scored, benchmark, args.per_sequence, args.by_tag)
    return 0


def _is_above(folders: Sequence[Path], path: Path) -> bool:
    above = path.expanduser().resolve().parents
    return path.is_dir() and any(folder.expanduser().resolve() in above for folder in folders)


def _published(name: str) -> str:
    """The name; UserError with what it may be short for (lasot: lasot_test), where that can be scored."""
    from seqtrack.assessment.exchange.benchmarks import sequences_of
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.formats.published import PUBLISHED

    if name in PUBLISHED or ":" in name:
        return name
    longer = [of for of, known in PUBLISHED.items() if of.startswith(name.lower()) and known.part != "train"]
    if likely := [of for of in longer if sequences_of(parse_dataset_name(of))] or longer:
        raise UserError(f"--benchmark: {name!r} is not known; did you mean {' or '.join(likely)}?")
    return name


def _guess(found: Sequence[TrackerFiles]) -> str:
    from seqtrack.assessment.exchange.benchmarks import VOT, guesses

    likely = guesses(found[0].files)
    if found[0].layout.startswith("vot"):
        years = [name for name, sequences in VOT.items() if sequences == found[0].files.keys()]
        if years:
            return f"they are on the sequences of {' and '.join(years)}: --benchmark {years[-1]}"
        return "they lie as VOT's do: --benchmark vot2018 or another year"
    if not likely:
        return "their names are those of no benchmark whose sequences are known; name it, or LAYOUT:FOLDER"
    best, *others = [guess for guess in likely if guess.there == guess.total] or likely[:1]
    also = f"; all of {', '.join(other.benchmark for other in others)} is there too" if others else ""
    return (
        f"they look like {best.benchmark} ({best.there} of its {best.total} sequences are there{also}):"
        f" --benchmark {best.benchmark}"
    )


def _of_one_protocol(found: list[TrackerFiles], benchmark: DatasetName) -> list[TrackerFiles]:
    """VOT's folders may hold results of several experiments: those of the benchmark's own count."""
    from seqtrack.assessment.benchmark import benchmark_of
    from seqtrack.assessment.exchange.scored import PROTOCOL_OF
    from seqtrack.assessment.protocols import PROTOCOLS, own_sampler

    own = PROTOCOLS[own_sampler(benchmark_of(benchmark))]
    found = [files for files in found if PROTOCOL_OF.get(files.layout) == own] or found
    protocols = {PROTOCOL_OF.get(files.layout, "ope") for files in found}
    if len(protocols) > 1:
        layouts = sorted({files.layout for files in found})
        raise UserError(
            f"--layout: there are results in several ({', '.join(layouts)}), which are scored in other ways; give"
            f" {' or '.join(f'--layout {layout}' for layout in layouts)}"
        )
    return found


def _of_benchmark(found: list[TrackerFiles], labels: Sequence[Labels]) -> list[TrackerFiles]:
    """Those with results on its sequences, of a folder that holds several benchmarks; all, if none has."""
    from seqtrack.assessment.exchange.reading import are_of

    fitting = [files for files in found if are_of(files, labels)]
    if fitting and len(fitting) < len(found):
        others = ", ".join(files.where for files in found if files not in fitting)
        print(f"note: of another benchmark, so left out: {others}", file=sys.stderr)
    return fitting or found


def _names(scored: Sequence[Scored]) -> list[str]:
    """The trackers' names; of those that are called the same, their folders."""
    names = [one.results.tracker for one in scored]
    return [one.results.where if names.count(name) > 1 else name for name, one in zip(names, scored, strict=True)]


def _object(name: str, scored: Scored, benchmark: DatasetName) -> dict[str, Any]:
    results, convention = scored.results, scored.convention
    return {
        "tracker": name,
        "benchmark": str(benchmark),
        "convention": convention.name,
        "definition": convention.definition,
        "protocol": convention.protocol,
        "layout": results.layout,
        "num_sequences": len(scored.sequences),
        "num_frames": sum(scored.frames),
        "repetitions": results.repetitions,
        "missing": results.missing,
        "short": results.short,
        **_plain(scored.overall),
        "per_sequence": {
            sequence: _plain({metric: values[k] for metric, values in scored.per_sequence.items()})
            for k, sequence in enumerate(scored.sequences)
        },
        **({"by_tag": {tag: _plain(values) for tag, values in scored.by_tag.items()}} if scored.by_tag else {}),
    }


def _plain(values: Any) -> dict[str, float | None]:
    return {metric.lower(): float(value) if math.isfinite(value) else None for metric, value in values.items()}


def _write_csv(path: Path, names: Sequence[str], scored: Sequence[Scored]) -> None:
    import csv
    import io

    from seqtrack.runs import atomic

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["tracker", "sequence", "frames", *scored[0].per_sequence])
    for name, one in zip(names, scored, strict=True):
        for k, (sequence, frames) in enumerate(zip(one.sequences, one.frames, strict=True)):
            values = [float(of_metric[k]) for of_metric in one.per_sequence.values()]
            writer.writerow([name, sequence, frames, *(repr(v) if math.isfinite(v) else "" for v in values)])
    try:
        atomic.write_text(path, buffer.getvalue())
    except OSError as error:
        raise UserError(f"--csv: cannot write {path} ({error.strerror})") from error


def _show(
    names: Sequence[str], scored: Sequence[Scored], benchmark: DatasetName, all_sequences: bool, tags: bool
) -> None:
    from seqtrack.schema import counted

    first = scored[0]
    convention = first.convention
    print(f"{benchmark}: {counted(len(first.sequences), 'sequence')}, {counted(sum(first.frames), 'frame')}")
    print(textwrap.fill(f"convention {convention.name}: {convention.definition}", screen_width()) + "\n")
    rows = {name: one.overall for name, one in zip(names, scored, strict=True)}
    print_scores("tracker", list(first.overall), rows)
    for name, one in zip(names, scored, strict=True):
        for what, sequences in (("without results", one.results.missing), ("short of rows", one.results.short)):
            if sequences:
                print(f"\n{name}: {what}, counted as failures: {', '.join(dict.fromkeys(sequences))}")
        if all_sequences or len(scored) == 1:
            print(f"\n{name}: {'all' if all_sequences else 'the worst'} sequences")
            order = range(len(one.sequences)) if all_sequences else _worst(one)
            rows = {
                one.sequences[k]: {metric: float(values[k]) for metric, values in one.per_sequence.items()}
                for k in order
            }
            frames = [one.frames[k] for k in order]
            print_scores("sequence", list(one.per_sequence), rows, {"frames": frames}, of=one.per_sequence)
        if tags and one.by_tag:
            print(f"\n{name}: by tag")
            print_scores("tag", list(one.overall), one.by_tag)
    if tags and not any(one.by_tag for one in scored):
        print("\nno scores by tag: they belong to VOT's restarts, and to annotations with tags (*.tag, pysot's JSON)")


def _worst(scored: Scored) -> list[int]:
    """The sequences that cost most: most failures where there are such, else the lowest first score."""
    import numpy as np

    from seqtrack.assessment.metrics import METRICS

    metric = "failures" if "failures" in scored.per_sequence else next(iter(scored.per_sequence))
    values = scored.per_sequence[metric]
    cost = -values if METRICS[metric].higher_is_better else values
    order = np.argsort(-np.nan_to_num(cost, nan=-np.inf), kind="stable")
    return [int(k) for k in order[:_WORST]]


if __name__ == "__main__":
    sys.exit(run(main))
