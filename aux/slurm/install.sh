#!/bin/sh
# Installs the SLURM that tests/slurm brings up for itself (aux/slurm/cluster.py), if SEQTRACK_INSTALL_SLURM=1.
# usage: aux/slurm/install.sh
set -eu
packages="slurm-wlm slurmdbd munge mariadb-server"
services="slurmctld slurmd slurmdbd munge mariadb"
policy=/usr/sbin/policy-rc.d

PATH=$PATH:/usr/sbin:/sbin
absent=
for program in sbatch slurmctld slurmd slurmdbd munged mariadbd; do
    command -v "$program" >/dev/null || absent="$absent $program"
done
[ -n "$absent" ] || exit 0

if [ "${SEQTRACK_INSTALL_SLURM:-}" != 1 ]; then
    cat >&2 <<END
================================================================================================================
NOT TESTED: everything that runs on a real SLURM cluster (tests/slurm), for lack of:$absent
To have $packages installed, and nothing of it started:
as root on Debian or Ubuntu, SEQTRACK_INSTALL_SLURM=1 make test
================================================================================================================
END
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "error: SEQTRACK_INSTALL_SLURM=1 needs root on Debian or Ubuntu; elsewhere install $packages by hand" >&2
    exit 2
fi

# Debian starts what it installs, and again after every boot. The tests need the programs only, and a SLURM or a
# database that nobody has asked for is the last thing a machine needs. Both invoke-rc.d and deb-systemd-invoke ask
# policy-rc.d before they start anything (RUNLEVEL=1 only stops the first), and 101 forbids it.
new=
for service in $services; do
    [ -e "/lib/systemd/system/$service.service" ] || new="$new $service"
done
[ ! -e "$policy" ] || mv "$policy" "$policy.before-seqtrack"
restore() {
    rm -f "$policy"
    [ ! -e "$policy.before-seqtrack" ] || mv "$policy.before-seqtrack" "$policy"
}
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod +x "$policy"

install() {
    # shellcheck disable=SC2086  # a list of words
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages
}
echo "installing $packages"
install || { apt-get update -q && install; } || {
    echo "error: apt-get could not install $packages; leave SEQTRACK_INSTALL_SLURM out to test without SLURM" >&2
    exit 2
}
for service in $new; do
    update-rc.d "$service" disable || true
    ! command -v systemctl >/dev/null || systemctl disable "$service" || true
done >/dev/null 2>&1
