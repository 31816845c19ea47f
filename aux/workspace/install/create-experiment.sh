#!/usr/bin/env bash
# Makes repo/ again: the code of this experiment, from commit.txt and remote.txt.
# usage: ./create-experiment.sh        exit codes: 0, 2 (a mistake), 3 (the remote does not have the commit)
set -euo pipefail
# shellcheck disable=SC2046
unset $(git rev-parse --local-env-vars)  # of a hook that calls this: it means another repository

fail() {
    echo "error: $*" >&2
    exit "${code:-2}"
}

cd "$(dirname "$0")"
[ -f commit.txt ] && [ -f remote.txt ] || fail "$PWD: commit.txt and remote.txt say which code to get; one is missing"
commit=$(cat commit.txt)
url=$(cat remote.txt)
if [ -e repo ]; then
    [ "$(git -C repo rev-parse -q --verify HEAD 2>/dev/null)" = "$commit" ] ||
        fail "$PWD/repo is there, but not at commit $commit: move it away first"
    echo "$PWD/repo is at commit ${commit:0:12} already"
    exit 0
fi

temporary=$(mktemp -d ./.repo.XXXXXX)
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
git clone -q --no-checkout --origin local -- "$url" "$temporary/repo" || fail "cannot clone $url (remote.txt): see above"
# Commits that experiments and runs have pinned are on no branch.
git -C "$temporary/repo" fetch -q local '+refs/seqtrack/*:refs/seqtrack/*'
git -C "$temporary/repo" cat-file -e "$commit^{commit}" 2>/dev/null || code=3 fail "$url does not have commit $commit"
git -C "$temporary/repo" checkout -q --detach "$commit"
# A submodule may lie in a folder, which git has refused to clone from since 2.38 unless one says so: that is against
# the repositories of strangers, and this one is the person's own.
# Urls that are relative (../other.git) are relative to the remote, which without a branch has to be called origin.
git -C "$temporary/repo" -c remote.origin.url="$url" submodule --quiet init &&
    git -C "$temporary/repo" -c protocol.file.allow=always submodule --quiet update --init --recursive ||
    fail "cannot get the submodules of $url: see above"
mv "$temporary/repo" repo
echo "$PWD/repo is at commit ${commit:0:12}"
