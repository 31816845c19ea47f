#!/usr/bin/env bash
# Makes a bare repository, adds it to this checkout as a remote, and pushes the branch that is checked out.
set -euo pipefail
# shellcheck disable=SC2046
unset $(git rev-parse --local-env-vars)  # of a hook that calls this: it means another repository

usage() {
    cat <<'TEXT'
usage: aux/workspace/init-remote.sh PATH [--remote NAME]

Experiments are pinned to a commit of a remote, so that their code can be had again whatever happens to this checkout.
This makes that remote: a bare repository in PATH, known to this checkout as NAME (default: local).
A bare repository that is there already is used as it is.

example:
  aux/workspace/init-remote.sh ~/projects/seqtrack.git
TEXT
}

fail() {
    echo "error: $*" >&2
    exit 2
}

remote=local
path=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --remote) [ $# -ge 2 ] || fail "--remote: expected a name"; remote=$2; shift ;;
        --remote=*) remote=${1#*=} ;;
        -*) fail "$1: no such flag; see --help" ;;
        *) [ -z "$path" ] || fail "$1: one PATH expected; see --help"; path=$1 ;;
    esac
    shift
done
[ -n "$path" ] || { usage >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
top=$(git -C "$here" rev-parse --show-toplevel 2>/dev/null) ||
    fail "$here is not in a git repository ($(git -C "$here" rev-parse 2>&1 | sed -n 1p))"
git -C "$top" rev-parse -q --verify HEAD >/dev/null || fail "$top has no commit yet: there is nothing to push"
branch=$(git -C "$top" symbolic-ref -q --short HEAD) ||
    fail "$top has no branch checked out (HEAD is detached): git switch -c NAME"

if old=$(git -C "$top" remote get-url "$remote" 2>/dev/null); then
    fail "there is a remote '$remote' already, $old: give another name with --remote"
fi

made=
undo() {
    git -C "$top" remote remove "$remote" 2>/dev/null || true
    [ -z "$made" ] || rm -rf "$made"
}
if [ -e "$path" ] && [ -n "$(ls -A "$path" 2>/dev/null || echo file)" ]; then
    [ "$(git -C "$path" rev-parse --is-bare-repository 2>/dev/null)" = true ] ||
        fail "$path exists and is no bare repository: choose another path"
else
    trap undo EXIT
    made=$path
    git init -q --bare "$path" || fail "$path cannot be made: see above"
fi
trap undo EXIT
path=$(cd "$path" && pwd)
git -C "$top" remote add "$remote" "$path" || fail "--remote: see above"
git -C "$top" push -q "$remote" "refs/heads/$branch" || fail "$path does not take branch $branch: see above"
trap - EXIT
echo "remote '$remote' is $path; it has branch $branch"
