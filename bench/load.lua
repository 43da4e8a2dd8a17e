-- wrk: one request again and again (METHOD, BODY and HEADER_<name> from the environment); the summary as JSON.
local headers = { ["Content-Type"] = "application/json" }
local query = os.getenv("QUERY_HEADER")
if query and query ~= "" then headers["X-Seafowl-Query"] = query end
wrk.method, wrk.body, wrk.headers = os.getenv("METHOD"), os.getenv("BODY"), headers
if wrk.body == "" then wrk.body = nil end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "seconds": %f, "failed": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.requests, summary.duration / 1e6, errors.status + errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
