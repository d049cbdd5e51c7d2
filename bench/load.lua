-- The two workloads, and one line of results that run.py reads.
--
--     wrk ... -s load.lua URL -- WORKLOAD
--
-- Method, target and body are set before wrk renders the request, and there is no request() here: so wrk sends the
-- same bytes each time and the Lua machine costs nothing while it runs.

local lines = {}
for i = 1, 10 do
    lines[i] = string.format(
        "cpu,host=server%02d,region=us-west usage_user=%d.5,usage_system=%d.25,usage_idle=%d.25 %d\n",
        i, 20 + i, 5 + i, 73 - 2 * i, 1704067200 + i)
end

local workloads = {
    write = {
        target = "/api/v3/write_lp?db=bench&precision=second",
        content_type = "text/plain; charset=utf-8",
        body = table.concat(lines),
    },
    query = {
        target = "/api/v3/query_sql",
        content_type = "application/json",
        body = [[{"db":"bench","format":"json",]]
            .. [["q":"SELECT host, usage_user FROM cpu WHERE time > now() - INTERVAL '1 minute'"}]],
    },
}

function init(arguments)
    local workload = workloads[arguments[1]]
    wrk.method = "POST"
    wrk.path = workload.target
    wrk.headers["Authorization"] = "Bearer apiv3_bench"
    wrk.headers["Content-Type"] = workload.content_type
    wrk.body = workload.body
end

function done(summary)
    local errors = summary.errors
    io.write(string.format(
        "RESULT requests=%d microseconds=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
        summary.requests, summary.duration, errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
