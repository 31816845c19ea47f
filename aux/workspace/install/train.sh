#!/usr/bin/env bash
# Trains with the pinned code; results go to workspace/cache. Flags: ../train.sh --help
exec "$(dirname "$0")/run.sh" train "$@"
