#!/bin/sh
# Installs Debian packages, as root, and leaves the machine's services as they are: deploy/apt-install.sh PACKAGE...
#
# Debian starts a package's services and enables them for the next boot. The tests start programs of their own on free ports, and a
# database or a proxy that nobody asked for should not run on this machine. So policy-rc.d forbids every start for the time of the
# call, and what the new packages have enabled is disabled again; services that were here before keep their state. Traps see to both
# when the call is interrupted: a download ends at once, an installation when it is whole.
# A name with a question mark is left out where the distribution does not offer it.
set -eu
[ $# -gt 0 ] || { echo "usage: $0 PACKAGE[?]..." >&2; exit 2; }
[ "$(id -u)" = 0 ] || { echo "$0: only root can install packages" >&2; exit 1; }

policy=/usr/sbin/policy-rc.d
kept_policy=$policy.kept-by-sluice
mark="made by Sluice's deploy/apt-install.sh, for the time of one call"
work=$(mktemp -d)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

installed() {
    dpkg-query -W -f='${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u
}

# The units and init scripts of the packages that are new. Links for a boot are all that is changed.
disable_new_services() {
    installed | comm -13 "$work/before" - | while read -r package; do
        dpkg-query -L "$package" 2>/dev/null
    done >"$work/files"
    sed -n 's,^\(/usr\)\{0\,1\}/lib/systemd/system/\([^/]*\.\(service\|socket\|timer\|path\)\)$,\2,p' "$work/files" | while read -r unit; do
        links=$(find /etc/systemd/system -mindepth 2 -maxdepth 2 -type l -name "$unit")
        [ -n "$links" ] || continue
        rm -f $links
        echo "not started, not enabled: $unit" >&2
    done
    sed -n 's,^/etc/init\.d/\([^/]*\)$,\1,p' "$work/files" | while read -r script; do
        update-rc.d "$script" disable >/dev/null 2>&1 || true
    done
}

restore() {
    trap '' INT TERM HUP
    rm -f $policy
    [ ! -e $kept_policy ] || mv $kept_policy $policy
    disable_new_services
    rm -rf "$work"
}

# Three or four lines for each of apt's steps instead of one for each package.
progress() {
    gets=0 unpacks=0 sets=0 step=$(($1 / 3 + 1))
    while read -r line; do
        echo "$line" >>"$work/log"
        case $line in
            Get:*)          gets=$((gets + 1)) said="downloaded $gets" at=$gets ;;
            "Unpacking "*)  unpacks=$((unpacks + 1)) said="unpacked $unpacks" at=$unpacks ;;
            "Setting up "*) sets=$((sets + 1)) said="set up $sets" at=$sets ;;
            *) continue ;;
        esac
        [ $((at % step)) != 0 ] && [ $at != "$1" ] || echo "  $said of $1"
    done
}

# One call at a time; one that was killed may have left its policy behind.
exec 9>/run/lock/sluice-apt-install
flock 9
if grep -qs "$mark" $policy; then
    rm $policy
fi
[ ! -e $kept_policy ] || mv $kept_policy $policy
installed >"$work/before"
interrupted=0
trap restore EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
[ ! -e $policy ] || mv $policy $kept_policy
printf '#!/bin/sh\n# %s\nexit 101\n' "$mark" >$policy
chmod 755 $policy

echo "fetching the lists of packages" >&2
apt-get update -qq || echo "apt-get update failed; trying with the lists that are here" >&2
packages=""
for package in "$@"; do
    name=${package%\?}
    if [ "$name" != "$package" ] && ! apt-cache policy "$name" | grep -q '^ *Candidate: [^(]'; then
        continue
    fi
    packages="$packages $name"
done
[ -n "$packages" ] || exit 0

options="-y -q --no-install-recommends"
count=$(apt-get install -s $options $packages 2>/dev/null | grep -c '^Inst ' || true)
echo "installing $count packages:$packages, and what they need" >&2
{ apt-get install --download-only $options $packages 2>&1 || touch "$work/failed"; } 9>&- | progress "$count" >&2
# Now whoever is impatient waits: dpkg would go on behind our back, without the policy. In a session of its own it hears no Ctrl-C.
trap 'interrupted=130' INT
trap 'interrupted=143' TERM HUP
[ -e "$work/failed" ] || { setsid --wait apt-get install $options $packages 2>&1 || touch "$work/failed"; } 9>&- |
    (trap '' INT TERM HUP && progress "$count") >&2
if [ -e "$work/failed" ]; then
    echo "$0: apt-get install failed; its last words:" >&2
    tail -n 20 "$work/log" >&2
    exit 1
fi
exit $interrupted
