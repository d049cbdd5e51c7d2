#!/usr/bin/env bash
# What `make run` does after the build.
#
#   CONFIG=my.yaml make run    serves a configuration of your own
#   make run                   starts a whole cluster of stand-in nodes on loopback with Sluice in front of it, shows
#                              what to try, and runs until Ctrl-C
#
# Other variables: LISTEN, ADMIN and WRITEBACK are Sluice's addresses in the demonstration, SLUICE the program.
set -euo pipefail
if [ -n "${CONFIG:-}" ]; then
    CONFIG=$(realpath "$CONFIG")
fi
cd "$(dirname "$0")/.."

SLUICE=${SLUICE:-build/sluice}
LISTEN=${LISTEN:-127.0.0.1:8181}
ADMIN=${ADMIN:-127.0.0.1:8180}
WRITEBACK=${WRITEBACK:-127.0.0.1:8191}
WAIT_SECONDS=30

if [ ! -x "$SLUICE" ]; then
    echo "run.sh: $SLUICE is not there; build it first with 'make'" >&2
    exit 1
fi
if [ -n "${CONFIG:-}" ]; then
    exec "$SLUICE" serve -c "$CONFIG"
fi

# On the nodes HTTP/2 and Arrow Flight are the work of Node.js with some npm packages: taken where they are, or npm to get them with.
flight=""
if ! node -e 'process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)' 2>/dev/null; then
    echo "no Node.js (18 or later) here, so the nodes speak HTTP/1.1 only and take no Arrow Flight"
elif [ ! -f build/npm/installed ] && ! command -v npm >/dev/null; then
    echo "no npm here, so the nodes speak HTTP/1.1 only and take no Arrow Flight"
elif ! python3 tests/npm/packages.py; then
    echo "without these packages the nodes speak HTTP/1.1 only and take no Arrow Flight"
else
    flight=yes
fi

nodes=(--listen "$LISTEN" --admin "$ADMIN" --writeback "$WRITEBACK")
[ -n "$flight" ] || nodes+=(--no-http2)
python3 tests/standin/cluster.py "${nodes[@]}" --run "$SLUICE" serve -c '{config}' &
cluster=$!
trap 'kill -TERM "$cluster" 2>/dev/null || true; wait "$cluster" || true' EXIT
trap 'exit 0' INT TERM

# Any answer will do.
answers() {
    python3 - "$LISTEN" 2>/dev/null <<'PYTHON'
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=1)
connection.request("GET", "/ping")
connection.getresponse()
PYTHON
}

deadline=$((SECONDS + WAIT_SECONDS))
until answers; do
    if ! kill -0 "$cluster" 2>/dev/null; then
        echo "run.sh: the cluster ended before it answered" >&2
        exit 1
    fi
    if [ "$SECONDS" -ge "$deadline" ]; then
        echo "run.sh: nothing answers at http://$LISTEN after $WAIT_SECONDS s" >&2
        exit 1
    fi
    sleep 0.1
done

if [ -n "$flight" ]; then
    flight="
  # the official JavaScript client asks by Arrow Flight, at the same port
  echo '{\"host\": \"http://$LISTEN\", \"database\": \"demo\", \"query\": \"SELECT * FROM home ORDER BY time\"}' |
       NODE_PATH=build/npm/node_modules node tests/npm/query.cjs
"
fi

curl_missing=""
command -v curl >/dev/null || curl_missing=" (curl is not installed here; 'apt-get install curl' does that)"

cat <<TEXT

Sluice answers at http://$LISTEN, its status page is http://$ADMIN/status. Try in another shell${curl_missing}:

  # three ways to write
  curl -i 'http://$LISTEN/api/v3/write_lp?db=demo' --data-binary 'home,room=kitchen temp=21.5'
  curl -i 'http://$LISTEN/api/v2/write?bucket=demo' --data-binary 'home,room=hall temp=19.0'
  curl -i 'http://$LISTEN/write?db=demo' --data-binary 'home,room=attic temp=16.25'

  # read it back: a query node sees a write about a quarter of a second after it was acknowledged
  curl -G 'http://$LISTEN/api/v3/query_sql' --data-urlencode 'db=demo' --data-urlencode 'format=pretty' \\
       --data-urlencode 'q=SELECT * FROM home ORDER BY time'

  # the same by HTTP/2
  curl --http2-prior-knowledge -i 'http://$LISTEN/api/v3/query_sql?db=demo&q=SELECT+*+FROM+home'
$flight
  # a request trigger, which only the process node has
  curl 'http://$LISTEN/api/v3/engine/echo?x=1'

  # how the cluster is, and what Sluice thinks of each node
  curl -i 'http://$LISTEN/health'
  curl 'http://$ADMIN/status'

The nodes and their process ids stand above: kill one of them (kill -9 PID) while you write, and see that nothing is
lost. Ctrl-C ends everything.

TEXT

status=0
wait "$cluster" || status=$?
exit "$status"
