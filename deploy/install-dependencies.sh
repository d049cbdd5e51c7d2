#!/bin/sh
# Installs what Sluice needs on Debian, and only what is missing. `make` calls it.
#
#   deploy/install-dependencies.sh build        compiler, libraries
#   deploy/install-dependencies.sh run          the same, and python3 for the stand-in cluster of the demonstration
#   deploy/install-dependencies.sh test         the same, and the servers and clients that the tests use
#   deploy/install-dependencies.sh bench        what `run` has, and the proxies and load drivers to compare with
#   deploy/install-dependencies.sh fuzz         what `build` has, and clang with libFuzzer
#
# It asks dpkg first, so a machine that has everything is not touched and needs no network. deploy/apt-install.sh does the rest, as root.
set -eu
cd "$(dirname "$0")/.."

build="gcc libc6-dev make pkg-config libevent-dev libc-ares-dev libssl-dev libyaml-dev libnghttp2-dev zlib1g-dev libxxhash-dev libjansson-dev"
run="$build python3"
# A test that misses one of those with a question mark is skipped, so a distribution may lack them.
test="$run libcmocka-dev openssl curl ca-certificates varnish nghttp2-client nghttp2-server nghttp2-proxy nodejs npm python3-grpcio? \
      influxdb? influxdb-client?"
bench="$run openssl haproxy nginx-light nghttp2-proxy nghttp2-client wrk strace valgrind"

# libFuzzer and clang's sanitizers are in a package with the number of the distribution's clang.
clang_number() {
    case $(. /etc/os-release && echo "${VERSION_CODENAME:-}") in bookworm) echo 14 ;; *) echo 19 ;; esac
}
fuzz="$build clang libclang-rt-$(clang_number)-dev"

purpose=${1:-build}
case $purpose in
    build) wanted=$build ;;
    run)   wanted=$run ;;
    test)  wanted=$test ;;
    bench) wanted=$bench ;;
    fuzz)  wanted=$fuzz ;;
    *) echo "usage: $0 [build|run|test|bench|fuzz]" >&2; exit 2 ;;
esac
# varnish makes its users with systemd-sysusers; where there is no systemd, that program alone will do.
if [ "$purpose" = test ] && ! command -v systemd-sysusers >/dev/null; then
    wanted="$wanted systemd-standalone-sysusers?"
fi

# A Node.js with npm that is already on the PATH (of whatever origin) will do.
have() {
    case $1 in nodejs|npm) ! { command -v node && command -v npm; } >/dev/null 2>&1 || return 0 ;; esac
    case $(dpkg-query -W -f='${Status}' "$1" 2>/dev/null || true) in *"install ok installed"*) true ;; *) false ;; esac
}

# The Makefile looks in the same three places.
have_llhttp() {
    pkg-config --exists libllhttp 2>/dev/null || [ -f /usr/share/llhttp/llhttp.c ] || [ -f build/node-llhttp/usr/share/llhttp/llhttp.c ]
}

offered() {
    apt-cache policy "$1" 2>/dev/null | grep -q '^ *Candidate: [^(]'
}

# Debian bookworm has llhttp as C sources only, in a package that depends on Node.js: unpacked, not installed.
unpack_llhttp() {
    echo "llhttp: unpacking the sources of Debian's node-llhttp in build/node-llhttp" >&2
    folder=build/node-llhttp
    rm -rf $folder && mkdir -p $folder
    sandbox=""
    [ "$(id -u)" != 0 ] || sandbox="-o APT::Sandbox::User=root"
    (cd $folder && apt-get download -qq $sandbox node-llhttp && dpkg-deb -x node-llhttp_*.deb . && rm node-llhttp_*.deb)
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "$0: this is no Debian, so nothing is installed; needed are (by Debian's names): $wanted llhttp" >&2
    exit 0
fi

missing=""
left_out=""
for package in $wanted; do
    name=${package%\?}
    if have "$name"; then
        continue
    elif [ "$name" != "$package" ] && offered make && ! offered "$name"; then
        left_out="$left_out $name"
    else
        missing="$missing $package"
    fi
done
have_llhttp || missing="$missing libllhttp-dev?"

if [ -n "$left_out" ]; then
    echo "not offered by this distribution, so tests that need them are skipped:$left_out" >&2
fi
if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        deploy/apt-install.sh $missing
    elif command -v sudo >/dev/null 2>&1; then
        echo "asking sudo for the right to install packages" >&2
        sudo deploy/apt-install.sh $missing
    else
        echo "$0: not root and no sudo; as root, run: deploy/apt-install.sh$missing" >&2
        exit 1
    fi
fi
have_llhttp || unpack_llhttp
if [ "$purpose" = test ]; then
    python3 tests/npm/packages.py
fi
