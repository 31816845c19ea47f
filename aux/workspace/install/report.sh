#!/usr/bin/env bash
# A report of the runs in the workspace, by the pinned code. Flags: ../report.sh --help
exec "$(dirname "$0")/run.sh" report "$@"
