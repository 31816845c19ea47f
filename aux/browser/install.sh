#!/bin/sh
# Installs the browser that tests look at pages with, if SEQTRACK_INSTALL_BROWSER=1.
# usage: aux/browser/install.sh
set -eu

for program in chromium chromium-browser google-chrome; do
    ! command -v "$program" >/dev/null || exit 0
done
if [ "${SEQTRACK_INSTALL_BROWSER:-}" != 1 ]; then
    echo "NOT TESTED: pages in a browser, for lack of chromium; as root on Debian, SEQTRACK_INSTALL_BROWSER=1 make test" >&2
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: SEQTRACK_INSTALL_BROWSER=1 needs root on Debian; elsewhere install chromium by hand" >&2
    exit 2
fi
install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium
}
echo "installing chromium"
install || { apt-get update -q && install; } || {
    echo "error: apt-get could not install chromium; leave SEQTRACK_INSTALL_BROWSER out to test without it" >&2
    exit 2
}
