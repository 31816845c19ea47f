"""Runs every benchmark and prints one table.

usage: python aux/bench/run.py [TOPIC …]      topics: the names of aux/bench/bench_<topic>.py
"""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

import table  # noqa: E402


def main() -> int:
    topics = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    wanted = sys.argv[1:] or topics
    if unknown := [topic for topic in wanted if topic not in topics]:
        print(f"error: {unknown[0]}: no such benchmark; expected some of {', '.join(topics)}", file=sys.stderr)
        return 2
    print(f"{platform.platform()}, Python {platform.python_version()}")
    missed = 0
    for topic in wanted:
        print(f"\n== {topic}")
        rows = list(importlib.import_module(f"bench_{topic}").rows())
        print("\n".join(table.render(rows)), flush=True)
        missed += sum(row.passed is False for row in rows)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
