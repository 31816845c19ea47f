"""The ``seqtrack`` console command: one verb per tool."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from seqtrack.errors import UserError
from seqtrack.schema import nearest
from seqtrack.tools import cli

VERBS = {
    "train": "train and assess a tracker with several seeds",
    "assess": "assess checkpoints, or a tracker that is not ours, on any data sets",
    "sweep": "search over hyper-parameters: many runs, one command, one table",
    "status": "show how a run is doing, and why what failed did",
    "list": "list experiments and runs below a folder, with code, progress and scores",
    "logs": "print what a trial has logged, wherever it ran",
    "cancel": "stop a run or some of its trials; what is saved is kept",
    "report": "write one run, or several side by side, as a page: tables, plots, worst sequences",
    "compare": "say whether the difference between two runs is real, and what else they differ in",
    "score": "score any tracker's result files, of any toolkit, by its rules",
    "export_results": "write a run's tracks as result files, for a server or another toolkit",
    "datasets": "list the data sets there are, what is here of each, and where to get it",
    "view": "show a data set and the pairs that training sees: PNG sheets and a page for a browser",
    "index": "build, show or verify the index of a data set",
    "preprocess": "make a smaller version of a data set, once: crops or resized frames",
    "pack": "pack sequences into the tar that training stages",
    "export": "write a data set for other systems: TFDS, crop-and-pickle",
    "diff": "in what two runs differ: flags, code (git diff), data, machines",
    "reproduce": "make a run again from what it recorded, and compare the numbers",
    "clean": "remove what no table needs: old checkpoints, staged copies, checked-out code",
    "doctor": "say what this machine and its SLURM do, and what that means for you",
    "sample_data": "generate a small data set to try things on",
}


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print("usage: seqtrack VERB …\n\n" + "\n".join(f"  {verb:<14} {text}" for verb, text in VERBS.items()))
        print("\nseqtrack VERB --help teaches each of them.")
        return 0
    verb = words[0].replace("-", "_")
    if verb not in VERBS:
        raise UserError(f"seqtrack {words[0]}: no such verb; {nearest(verb, VERBS)}")
    module = importlib.import_module(f"seqtrack.tools.{verb}")
    code: int = module.main(words[1:])
    return code


def console() -> None:
    # As ``python -m`` does it, so that --model my_module:Class is found here too.
    sys.path.insert(0, "")
    sys.exit(cli.run(main))
