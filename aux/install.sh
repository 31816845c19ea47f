#!/bin/sh
# Makes a virtual environment and installs seqtrack with what its tests need.
# usage: aux/install.sh PYTHON VENV
set -eu
python=$1
venv=$2

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "error: $python is older than 3.10; give a newer one: make PYTHON=python3.12" >&2
    exit 2
}

# Debian and Ubuntu split venv off from Python.
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    package="python$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    echo "installing $package, which $python -m venv needs"
    $sudo apt-get install -y -q "$package" || {
        echo "error: $python has no venv; install it first: sudo apt-get install $package" >&2
        exit 2
    }
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
echo "installing into $venv (torch and torchvision are about 5 GB with their GPU libraries)"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[test]'
