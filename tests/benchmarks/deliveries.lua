-- Posts one body again and again, for wrk: DELIVERY is the prefix of delivery ids that are all different, or one id.
local body, thread = "", 0

function setup(each)
  each:set("number", thread)
  thread = thread + 1
end

function init()
  local file = assert(io.open(os.getenv("BODY"), "rb"))
  body = file:read("*a")
  file:close()
  count = 0
end

function request()
  local id = os.getenv("DELIVERY")
  if os.getenv("DIFFERENT") == "1" then
    count = count + 1
    id = id .. "-" .. number .. "-" .. count
  end
  return wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["X-GitHub-Event"] = os.getenv("EVENT"),
    ["X-GitHub-Delivery"] = id,
    ["X-Hub-Signature-256"] = os.getenv("SIGNATURE"),
  }, body)
end

function done(summary, latency)
  local errors = summary.errors
  print(string.format("RESULT %d %d %d %d", summary.requests, summary.duration,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
