"""Makes a run again, from the code and configuration that it recorded, and says whether the numbers are the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqtrack import config as configuration
from seqtrack.errors import UserError
from seqtrack.tools import cli
from seqtrack.tools.runs import add_run, find_run, known_seed

if TYPE_CHECKING:
    from seqtrack.pipeline.reproduction import Recipe
    from seqtrack.runs.paths import RunFolder

EPILOG = """examples:
  seqtrack reproduce latest                    # all of its trials
  seqtrack reproduce 3f2a --seed 3             # one of them
  seqtrack reproduce 3f2a --local              # on this machine, though it was made on a cluster
  seqtrack reproduce 3f2a --data_dir /data     # where the data lie now

The code is checked out from the snapshot that the run kept in its git repository; the configuration is the complete
one that it recorded. Results go to CACHE_DIR/reproduced/, where the same command goes on if it is stopped.
On the same kind of machine with the same versions the numbers are the same to the bit; otherwise it says by how much
they differ, and what else does.
Of a run that was left unfinished, what it has is compared.
exit codes: 0 the same bits, 1 not, 2 if it cannot be made again, 130 if interrupted"""

PLACES = ("data_dir", "tar_dir", "data_cache_dir", "tmp_data_dir")


def build_parser() -> cli.Parser:
    parser = cli.Parser(prog="seqtrack reproduce", description=__doc__, epilog=EPILOG)
    add_run(parser, is_required=True)
    parser.add_argument("--seed", type=int, metavar="N", help="only this trial [all of the newest command's]")
    parser.add_argument("--local", action="store_true", help="without SLURM")
    parser.add_argument("--repository", metavar="DIR", help="where the code's git repository lies now")
    for name in PLACES:
        parser.add_argument(f"--{name}", metavar="PATH", help="instead of the one recorded")
    parser.add_argument("--data_paths", metavar="NAME=DIR", nargs="+", help="folders of single data sets")
    parser.add_argument("--device", metavar="DEVICE", help="auto, cpu, cuda or mps, instead of the one recorded")
    parser.add_argument("--dry_run", action="store_true", help="say what would be run, and stop")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    run = find_run(arguments)
    if arguments.seed is not None:
        known_seed(run, arguments.seed)

    from seqtrack.pipeline import reproduction

    made = reproduction.recipe(run, arguments.seed)
    folder = reproduction.code_folder(made, Path(arguments.repository) if arguments.repository else None)
    values = _values(made, arguments)
    print(_origin(made, folder), flush=True)
    if arguments.dry_run:
        print(f"would train seeds {', '.join(map(str, _seeds(values)))}; results would go to {made.folder}")
        return 0
    code = _train(made, folder, values)
    if code != 0:
        print(f"error: it did not run to its end (exit code {code}; see above)", file=sys.stderr)
        return cli.EXIT_MISTAKE if code == cli.EXIT_FAILURE else code  # 1 would say that the numbers are others
    return _verdict(run, made, _seeds(values))


def _values(made: Recipe, arguments: Any) -> dict[str, Any]:
    values = dict(made.values)
    if arguments.device is not None:
        values["device"] = configuration.read_value("device", arguments.device)
    if arguments.data_paths is not None:
        paths = configuration.read_value("data_paths", arguments.data_paths)
        moved = {name: str(Path(path).expanduser().absolute()) for name, path in paths.items()}
        values["data_paths"] = {**(values.get("data_paths") or {}), **moved}
    if "snapshot" in values:
        values["snapshot"] = False
    folders = {name: v for name in PLACES if (v := getattr(arguments, name))}
    values.update({name: str(Path(v).expanduser().absolute()) for name, v in folders.items()})
    if arguments.seed is not None:
        values.update(first_seed=arguments.seed, num_trials=1)
    if arguments.local:
        values = {name: value for name, value in values.items() if not name.startswith("slurm")}
    return values


def _seeds(values: dict[str, Any]) -> list[int]:
    return list(range(values["first_seed"], values["first_seed"] + values["num_trials"]))


def _origin(made: Recipe, folder: Path) -> str:
    found = made.snapshot
    if found is None or found.tree is None:
        return f"run {made.run.run_id}: code of {folder}, which is the same"
    count = len(found.changed)
    changes = f" with {count} changed file{'s' if count > 1 else ''}" if count else ""
    return (
        f"run {made.run.run_id}: code of commit {(found.head or found.tree)[:12]}{changes}, checked out in {folder}"
    )


def _train(made: Recipe, folder: Path, values: dict[str, Any]) -> int:
    import yaml

    from seqtrack.runs import atomic

    config = made.folder / "config.yaml"
    atomic.write_text(config, yaml.safe_dump(values, sort_keys=True, allow_unicode=True))
    for path, copy in made.lists.items():
        atomic.write_bytes(path, copy.read_bytes())
    flags = [f"--config={config.absolute()}", f"--cache_dir={made.folder.absolute()}", "--no-snapshot"]
    given = [str(Path(path).absolute()) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    paths = [str(folder.absolute()), *given, str(Path.cwd())]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}
    words = [sys.executable, "-m", "seqtrack.tools.train", *flags]
    # Not here: Python 3.10 imports from the current folder first, and that may well be a checkout of newer code.
    code = subprocess.run(words, env=environment, cwd=made.folder, check=False).returncode
    return code if code >= 0 else 128 - code  # as a shell counts those that were killed


def _verdict(run: RunFolder, made: Recipe, seeds: list[int]) -> int:
    from seqtrack.pipeline import reproduction
    from seqtrack.runs.paths import RunFolder

    again = RunFolder(made.folder / run.run_id)
    if not again.path.is_dir():
        raise UserError(f"its code gives this configuration another id; look into {made.folder}")
    everything: list[reproduction.Finding] = []
    nothing: list[int] = []
    print()
    for seed in seeds:
        found = reproduction.compare(run.trial(seed), again.trial(seed))
        everything += found
        for finding in found:
            print(f"seed {seed}: {finding.what}: {'the same' if finding.same else 'DIFFERENT'}, {finding.text}")
        if not found:
            nothing.append(seed)
            print(f"seed {seed}: the run has nothing left of it to compare with")
        for name in reproduction.not_compared(run.trial(seed), again.trial(seed)):
            print(f"seed {seed}: {name}: nothing to compare with, the run was not assessed on it")
        for line in reproduction.surroundings(run.trial(seed), again.trial(seed)):
            print(f"seed {seed}: not as it was: {line}")
    if not everything:
        raise UserError(f"run {run.run_id} has nothing left to compare with; made again in {again.path}")
    if all(finding.same for finding in everything):
        left_out = f"; nothing to compare of seed {', '.join(map(str, nothing))}" if nothing else ""
        print(f"the same numbers, to the bit ({len(everything)} comparisons{left_out})")
        return 0
    worst = max(everything, key=lambda finding: finding.difference)
    largest = (
        f"; the largest difference of a score is {worst.difference:.2g} ({worst.what})" if worst.difference else ""
    )
    print(f"not the same bits{largest}; the new results: {again.path}")
    return cli.EXIT_FAILURE


if __name__ == "__main__":
    sys.exit(cli.run(main))
