-- Requests of wrk for `benches/real.sh`: JSON of 0.3–4 KiB, three GET to two POST; with `close`, only
-- GET and the smaller responses. Arguments after `--`: REQUESTS [close], for each thread.
--
-- A thread sends exactly this many requests, waits for every response, and prints when it is done: if
-- a client stopped in the middle, it would be unclear which exchanges belong to the capture.

local limit, close = 0, false
local bodies, heads = {}, nil
local granted, sent, answered = 0, 0, 0
local last = 0

function setup(thread)
  last = last + 1
  thread:set("id", last)
end

function init(args)
  limit, close = tonumber(args[1]), args[2] == "close"
  math.randomseed(id)
  for n = 1, 64 do
    local fields = {}
    for field = 1, (300 * (4096 / 300) ^ (n / 64) - 60) / 15 do
      fields[field] = string.format('"k%04d":%6.2f,', field, math.random() * 900)
    end
    bodies[n] = string.format('{"customer":"%d",%s"end":true}', math.random(1e9), table.concat(fields))
  end
  heads = "Host: api.example.test\r\nUser-Agent: bench-client/1.4 (linux; x86_64)\r\nAccept: application/json, text/plain;q=0.8\r\n"
    .. "Accept-Language: en-GB,en;q=0.9\r\nAuthorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl\r\n"
    .. (close and "Connection: close\r\n" or "") .. "X-Trace-Id: "
end

-- Called before each request. A delay longer than the run of wrk means never.
function delay()
  granted = granted + 1
  return granted > limit and 3600000 or 0
end

function request()
  sent = sent + 1
  local head = string.format("%s%08x-%08x\r\n", heads, id, sent)
  if not close and sent % 5 < 2 then
    local body = bodies[sent % 64 + 1]
    return string.format("POST /v1/orders?batch=%d HTTP/1.1\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
      sent, head, #body, body)
  end
  return string.format("GET /%d.json?seq=%d HTTP/1.1\r\n%s\r\n", sent % (close and 12 or 40), sent, head)
end

function response()
  answered = answered + 1
  if answered == limit then
    io.stderr:write("done\n")
  end
end
