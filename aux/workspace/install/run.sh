#!/usr/bin/env bash
# Any verb of seqtrack with the pinned code, in the workspace.
# usage: ./run.sh VERB …      such as ../run.sh status, ../run.sh logs latest --seed 0
set -euo pipefail
# shellcheck disable=SC2046
unset $(git rev-parse --local-env-vars)  # of a hook that calls this: it means another repository

fail() {
    echo "error: $*" >&2
    exit 2
}

experiment=$(cd "$(dirname "$0")" && pwd)
[ -d "$experiment/repo" ] || fail "$experiment/repo is not there; get it: $experiment/create-experiment.sh"
commit=$(cat "$experiment/commit.txt")
[ "$(git -C "$experiment/repo" rev-parse HEAD)" = "$commit" ] ||
    fail "$experiment/repo is not at commit ${commit:0:12} (commit.txt): git -C $experiment/repo checkout $commit"
changed=$(git -C "$experiment/repo" status --porcelain | sed -n 1,5p)
[ -z "$changed" ] ||
    fail "the pinned code in $experiment/repo was changed; undo that, or begin another experiment:
$changed"

python=${PYTHON:-}
if [ -z "$python" ] && [ -n "${VIRTUAL_ENV:-}" ]; then
    python=$VIRTUAL_ENV/bin/python
fi
if [ -z "$python" ] && [ -f "$experiment/python.txt" ] && [ -x "$(cat "$experiment/python.txt")" ]; then
    python=$(cat "$experiment/python.txt")
fi

workspace=$experiment/workspace
[ "$(pwd -P)" = "$(cd "$workspace" && pwd -P)" ] || echo "running in $workspace: relative paths start there" >&2
cd "$workspace"
# Its own __pycache__ is no change, for git ignores it.
PYTHONPATH=$experiment/repo${PYTHONPATH:+:$PYTHONPATH} exec "${python:-python3}" -m seqtrack "$@"
