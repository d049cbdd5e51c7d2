#!/bin/sh
# Installs what Sluice needs on Debian, and only what is missing.
#
#   deploy/install-dependencies.sh build        compiler, libraries
#   deploy/install-dependencies.sh test         the same, and what the tests and the stand-in cluster use
#   deploy/install-dependencies.sh bench        the same, and the proxies and load drivers to compare with
#
# It asks dpkg first, so a machine that has everything is not touched and needs no network.
set -eu

build="gcc make pkg-config libevent-dev libssl-dev libyaml-dev libnghttp2-dev zlib1g-dev libxxhash-dev"
test="$build libcmocka-dev python3 python3-grpcio curl openssl varnish nghttp2-client nghttp2-server nghttp2-proxy influxdb \
      influxdb-client ca-certificates"
bench="$test haproxy nginx-light wrk strace"

case "${1:-build}" in
    build) wanted=$build ;;
    test)  wanted=$test ;;
    bench) wanted=$bench ;;
    *) echo "usage: $0 [build|test|bench]" >&2; exit 2 ;;
esac

# llhttp: a distribution's library where there is one, else the C sources that Debian bookworm ships for Node.js.
if ! pkg-config --exists libllhttp 2>/dev/null && [ ! -f /usr/share/llhttp/llhttp.c ]; then
    wanted="$wanted node-llhttp"
fi
# The npm clients need a Node.js with npm; one that is already on the PATH (of whatever origin) will do.
if [ "${1:-build}" != build ] && ! { command -v node && command -v npm; } >/dev/null 2>&1; then
    wanted="$wanted nodejs npm"
fi

missing=""
for package in $wanted; do
    case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true) in
        *"install ok installed"*) ;;
        *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

echo "installing:$missing" >&2
as_root=""
if [ "$(id -u)" != 0 ]; then
    as_root=$(command -v sudo) || { echo "$0: not root and no sudo; as root, run: apt-get install$missing" >&2; exit 1; }
fi
# Debian starts a package's services on installation; the tests start their own copies on free ports, and a
# database that nobody asked for should not appear on this machine: policy-rc.d says no for the time of the call.
policy=/usr/sbin/policy-rc.d
made_policy=""
if [ ! -e $policy ] && { [ -z "$as_root" ]; }; then
    printf '#!/bin/sh\nexit 101\n' > $policy && chmod 755 $policy && made_policy=yes
fi
status=0
export DEBIAN_FRONTEND=noninteractive
$as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null || status=$?
[ -z "$made_policy" ] || rm -f $policy
exit $status
