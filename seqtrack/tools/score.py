"""Scores any tracker's result files, in the layout and by the rules of any toolkit."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack.errors import UserError
from seqtrack.tools import places
from seqtrack.tools.cli import Parser, run

if TYPE_CHECKING:
    from seqtrack.assessment.exchange.layouts import TrackerFiles
    from seqtrack.assessment.exchange.scored import Scored
    from seqtrack.assessment.scores import Labels
    from seqtrack.data.formats import DatasetName

_EPILOG = f"""\
RESULTS is a tracker's folder (or zip) of result files, a folder of several trackers, or several of those:
  {{seq}}.txt                                 OTB, pysot, LaSOT, TrackingNet; with commas, tabs or spaces
  {{param}}_{{run:03d}}/{{seq}}.txt             pytracking; its runs are repetitions
  {{seq}}/{{seq}}_{{rep:03d}}.txt               the got10k toolkit and server
  baseline/{{seq}}/{{seq}}_{{rep:03d}}.txt      VOT, supervised; longterm/… and unsupervised/… likewise
Names may be spelled in any toolkit's way (Jogging-1, Jogging_1, Jogging.1, uav_bike1). A missing or short result is
an error that lists all of them, unless they are to count as failures.

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
    add("--allow_short", action="store_true", help="rows that are missing at the end are failures")
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
    from seqtrack.assessment.exchange.layouts import find_trackers
    from seqtrack.assessment.exchange.reading import read_results
    from seqtrack.assessment.exchange.scored import convention_of, score_results
    from seqtrack.data.formats import parse_dataset_name
    from seqtrack.data.locations import located

    found = [files for path in args.results for files in find_trackers(path, args.layout)]
    if args.benchmark is None:
        raise UserError(f"--benchmark: of which benchmark are these results? {_guess(found)}")
    benchmark = parse_dataset_name(args.benchmark)
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
    scored = []
    for files in _of_benchmark(found, labels):
        results = read_results(
            files, labels, benchmark, allow_missing=args.allow_missing, allow_short=args.allow_short
        )
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


def _guess(found: Sequence[TrackerFiles]) -> str:
    from seqtrack.assessment.exchange.benchmarks import guesses

    likely = guesses(found[0].files)
    if found[0].layout.startswith("vot"):
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
        layouts = ", ".join(sorted({files.layout for files in found}))
        raise UserError(
            f"--layout: there are results in several ({layouts}), which are scored in other ways; give one"
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
    from rich.console import Console

    from seqtrack.assessment.metrics import decimals

    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 250)
    first = scored[0]
    convention = first.convention
    print(f"{benchmark}: {len(first.sequences)} sequences, {sum(first.frames):,} frames")
    print(f"convention {convention.name}: {convention.definition}\n")
    rows = {name: one.overall for name, one in zip(names, scored, strict=True)}
    console.print(_table_of("tracker", list(first.overall), rows))
    for name, one in zip(names, scored, strict=True):
        for what, sequences in (("without results", one.results.missing), ("short of rows", one.results.short)):
            if sequences:
                print(f"\n{name}: {what}, counted as failures: {', '.join(dict.fromkeys(sequences))}")
        order = range(len(one.sequences)) if all_sequences else _worst(one)
        if all_sequences or len(scored) == 1:
            print(f"\n{name}: {'all' if all_sequences else 'the worst'} sequences")
            table = _table("sequence", "frames", *one.per_sequence)
            places = {metric: decimals(metric, values) for metric, values in one.per_sequence.items()}
            for k in order:
                values = (_text(of_metric[k], places[metric]) for metric, of_metric in one.per_sequence.items())
                table.add_row(one.sequences[k], str(one.frames[k]), *values)
            console.print(table)
        if tags and one.by_tag:
            print(f"\n{name}: by tag")
            console.print(_table_of("tag", list(one.overall), one.by_tag))
    if tags and not any(one.by_tag for one in scored):
        print("\nno scores by tag: they belong to VOT's restarts, and to annotations with tags (*.tag, pysot's JSON)")


def _table(name: str, *columns: str) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(name)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _table_of(name: str, metrics: Sequence[str], rows: Mapping[str, Mapping[str, float]]) -> Any:
    """A row each; a metric that a row does not have is ``-``."""
    from seqtrack.assessment.metrics import decimals

    shown = [metric for metric in metrics if any(metric in values for values in rows.values())]
    table = _table(name, *shown)
    places = {metric: decimals(metric, [row.get(metric) for row in rows.values()]) for metric in shown}
    for label, values in rows.items():
        table.add_row(label, *(_text(values.get(metric, math.nan), places[metric]) for metric in shown))
    return table


def _text(value: float, places: int) -> str:
    return f"{value:.{places}f}" if math.isfinite(value) else "-"


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
