#!/usr/bin/env bash
# Makes a folder for an experiment, pinned to the commit that is checked out.
set -euo pipefail
# shellcheck disable=SC2046
unset $(git rev-parse --local-env-vars)  # of a hook that calls this: it means another repository
export GIT_OPTIONAL_LOCKS=0              # or git status would rewrite the person's index
export LC_ALL=C                          # [A-Za-z] is those letters

usage() {
    cat <<'TEXT'
usage: aux/workspace/init-experiment.sh ROOT NAME [--remote NAME] [--push] [--include-changes]

Makes ROOT/yyyy-mm-dd-NAME/ with
  repo/                  this code at this commit, cloned from the remote, submodules included
  workspace/             where results go
  commit.txt remote.txt  which code that is, and where it is from
  train.sh report.sh     the pinned code, run in the workspace; run.sh VERB for everything else
  create-experiment.sh   makes repo/ again, from commit.txt and remote.txt
The folder appears whole or not at all.

  --remote NAME       the remote that has the commit (default: local; aux/workspace/init-remote.sh makes it)
  --push              push the commit there first
  --include-changes   pin the uncommitted changes too, untracked files included, as a commit of their own on the
                      remote; branch, index and stash stay as they are

example:
  aux/workspace/init-experiment.sh experiments/ baseline
  cd experiments/*-baseline/workspace && ../train.sh --num_trials=5 --tar_dir /data/tars
TEXT
}

fail() {
    echo "error: $*" >&2
    exit 2
}

remote=local
push=
include=
root=
name=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --remote) [ $# -ge 2 ] || fail "--remote: expected a name"; remote=$2; shift ;;
        --remote=*) remote=${1#*=} ;;
        --push) push=yes ;;
        --include-changes | --include_changes) include=yes ;;
        -*) fail "$1: no such flag; see --help" ;;
        *)
            if [ -z "$root" ]; then root=$1
            elif [ -z "$name" ]; then name=$1
            else fail "$1: ROOT and NAME expected; see --help"; fi
            ;;
    esac
    shift
done
[ -n "$name" ] || { usage >&2; exit 2; }

case $name in
    *[!A-Za-z0-9._-]* | [.-]*)
        fail "NAME: '$name': use letters, digits, '.', '_' and '-', beginning with a letter or digit" ;;
esac
[ -d "$root" ] || fail "ROOT: there is no folder $root: mkdir -p $root"
root=$(cd "$root" && pwd)
[ -w "$root" ] || fail "ROOT: $root cannot be written to"
here=$(cd "$(dirname "$0")" && pwd)
top=$(git -C "$here" rev-parse --show-toplevel 2>/dev/null) ||
    fail "$here is not in a git repository, so there is no commit to pin ($(git -C "$here" rev-parse 2>&1 | sed -n 1p))"
cd "$top"
head=$(git rev-parse -q --verify HEAD) || fail "$top has no commit yet: there is nothing to pin"

id=$(date +%Y-%m-%d)-$name
final=$root/$id
[ ! -e "$final" ] || fail "$final exists: nothing was changed; choose another name"

url=$(git remote get-url "$remote" 2>/dev/null) || {
    echo "error: there is no remote '$remote' to pin the code to; make one and give the command again:" >&2
    echo "  aux/workspace/init-remote.sh $(dirname "$top")/seqtrack.git --remote $remote" >&2
    exit 2
}
[ ! -d "$url" ] || url=$(cd "$url" && pwd)  # it may be relative to this checkout

changes=$(git status --porcelain --untracked-files=all)
if [ -n "$changes" ] && [ -z "$include" ]; then
    count=$(printf '%s\n' "$changes" | wc -l | tr -d ' ')
    echo "error: $count files differ from the commit; commit them, or pin them with --include-changes:" >&2
    printf '%s\n' "$changes" | sed -n 1,10p >&2
    [ "$count" -le 10 ] || echo "  … and $((count - 10)) more" >&2
    exit 2
fi
if [ -n "$changes" ]; then
    # Of another repository git would pin a number that no remote is known to have.
    inside=$(printf '%s\n' "$changes" | sed -n 's,^?? \(.*/"*\)$,\1,p')
    [ -z "$inside" ] ||
        fail "--include-changes: have git ignore these repositories (.git/info/exclude), or make them submodules:" $inside
    inside=$(git submodule --quiet foreach --recursive \
        'test -z "$(git status --porcelain)" || echo "$displaypath"' 2>/dev/null || true)
    [ -z "$inside" ] || fail "--include-changes: commit and push within these submodules first: $inside"
fi

# Beside the final folder, so that a rename publishes it.
temporary=
scratch=
ref=
tidy() {
    [ -z "$temporary" ] || rm -rf "$temporary"
    [ -z "$scratch" ] || rm -rf "$scratch"
    if [ -n "$ref" ]; then
        git push -q "$remote" --delete "$ref" 2>/dev/null || true
        git update-ref -d "$ref" 2>/dev/null || true
    fi
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
# What one that was killed without a word could not tidy up, on this machine, is tidied here.
making=$root/.init-experiment.$(uname -n).
for left in "$making"*; do
    pid=${left#"$making"}
    [ ! -d "$left" ] || ps -p "${pid%%.*}" >/dev/null 2>&1 || rm -rf "$left"
done
temporary=$(mktemp -d "$making$$.XXXXXX")
scratch=$(mktemp -d)  # outside the tree that is about to be pinned

commit=$head
if [ -n "$changes" ]; then
    # An index of its own: the person's is not touched. A copy of it knows which files have not changed.
    index=$scratch/index
    cp -p "$(git rev-parse --git-path index)" "$index" 2>/dev/null || true
    # A split index would put a part into the repository; line ends that git would have otherwise are no mistake here.
    GIT_INDEX_FILE=$index git -c core.splitIndex=false -c core.safecrlf=false add -A ||
        fail "--include-changes: git cannot take them: see above"
    tree=$(GIT_INDEX_FILE=$index git -c core.splitIndex=false write-tree)
    author=$(git config user.name || echo seqtrack)
    email=$(git config user.email || echo seqtrack@localhost)
    commit=$(GIT_AUTHOR_NAME=$author GIT_AUTHOR_EMAIL=$email GIT_COMMITTER_NAME=$author GIT_COMMITTER_EMAIL=$email \
        git commit-tree "$tree" -p "$head" -m "Uncommitted changes that experiment $id pinned")
fi
if [ -n "$push" ] || [ -n "$changes" ]; then
    branch=$(git symbolic-ref -q --short HEAD || true)
    if [ -n "$changes" ] || [ -z "$branch" ]; then
        # No branch of the remote is to have it. By a name that no other command has, or may come to have: folders of
        # one name may lie in several places, and what fails here takes its own away again.
        ref=refs/seqtrack/experiments/$id-${temporary##*.}
        git update-ref "$ref" "$commit"
        git push -q "$remote" "$ref" || fail "--remote: $remote ($url) refused the commit: see above"
    else
        git push -q "$remote" "refs/heads/$branch" || fail "--push: $remote ($url) refused branch $branch: see above"
    fi
fi

new=$temporary/$id
mkdir -p "$new/workspace"
printf '%s\n' "$commit" >"$new/commit.txt"
printf '%s\n' "$url" >"$new/remote.txt"
cp "$here"/install/*.sh "$new/"
chmod +x "$new"/*.sh
# The interpreter that has seqtrack's dependencies, for a shell in which none is active.
[ ! -x "$top/.venv/bin/python" ] || printf '%s\n' "$top/.venv/bin/python" >"$new/python.txt"
# Indexes are shared by all experiments of a project; machine-specific paths are this machine's.
[ ! -d "$root/../dataset_cache" ] || ln -s ../../../dataset_cache "$new/workspace/dataset_cache"
[ ! -f "$top/seqtrack.local.yaml" ] || cp "$top/seqtrack.local.yaml" "$new/workspace/"

complaint=$("$new/create-experiment.sh" 2>&1 >/dev/null) || {
    [ "$?" = 3 ] || { printf '%s\n' "$complaint" >&2; exit 2; }
    where=$(git symbolic-ref -q --short HEAD || echo HEAD)
    fail "commit ${commit:0:12} ($where) is not in remote '$remote' ($url); push it: git push $remote $where, or give --push"
}

# rename(2), which refuses a folder that another command has made in the meantime; mv would move into it.
complaint=$(python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$new" "$final" 2>&1) || {
    [ ! -e "$final" ] || fail "$final exists: nothing was changed; choose another name"
    fail "$final cannot be made: $(printf '%s\n' "$complaint" | sed -n '$p')"
}
ref=
echo "$final"
echo "  code: ${commit:0:12} of $url$([ -z "$changes" ] || echo ', the uncommitted changes included')"
echo "  next: cd $(printf %q "$final")/workspace && ../train.sh --num_trials=5 …"
