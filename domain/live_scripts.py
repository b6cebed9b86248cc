"""The Lua scripts of domain/live.py; Redis runs each in one step.

The last argument of each identifies our database. If Redis serves another one, a script does nothing and returns nil.
"""

# How many changes a stream keeps, of about 1 kB each. A client with an older cursor is told to read again.
KEPT_CHANGES = 50_000
# How many bytes a stream keeps: changes of posts may be hundreds of times as large. Beyond that it loses the older
# half of its changes. Measuring a stream takes milliseconds, in which Redis answers nobody. So a script measures it
# only if it adds changes of more than LARGE_CHANGE bytes: always if those have 64 KiB together, and otherwise in
# proportion (one time in four with 16 KiB). It measures again only after MEASURED_EACH more bytes of them.
KEPT_BYTES = 64 * 1024 * 1024
LARGE_CHANGE = 2 * 1024
MEASURED_EACH = 8 * 1024 * 1024
# Changes older than this are removed, KEPT_OLD at a time, while a stream has more than twice as many: readers of a
# quiet workspace resume from the rest. A stream that was neither watched nor written to for this long is removed whole.
KEPT_SECONDS = 24 * 3600
KEPT_OLD = 1_000
# How many changes of one workspace may have the same millisecond in their ids.
SPAN = 2**20
# In microseconds. A retry is recalled with the time at which its attempt ended; its commit may be this much later.
DOUBT = 200_000
# The key that says which database this Redis serves.
SERVED = "hookline:database"
# The key that says since when this Redis has kept streams, in milliseconds. Entries from before that time are gone.
BEGUN = "hookline:begun"
# The verdicts of APPEND: held back until the change before it is announced; in the stream; no stream yet.
HELD, STANDS, NO_STREAM = range(3)


def stream_of(workspace_id: int) -> str:
    """The key of a workspace's stream."""
    return f"hookline:live:{workspace_id}"


# Runs before each of the others. A Redis that is new, or was emptied, serves the first database that comes.
_OWN = """
local ours = table.remove(ARGV)
local serves = redis.call('GET', 'SERVED')
if not serves then
  redis.call('SET', 'SERVED', ours)
elseif serves ~= ours then
  return false
end
"""

CLAIM = "return 1"

# The second part of an entry's id consists of the workspace's id, so that no cursor is valid in two workspaces, and of
# a count within the millisecond. We count because Redis cannot: before 7.2, time goes on within a script, and its count
# begins anew. If the clock was set back, ids continue from the last one.
_ADD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = {}
local function add(stream, workspace, ...)
  local id, first = ids[stream], workspace * SPAN
  local is_first = not id
  if is_first then
    id = {ms = now, n = -1, large = 0}
    ids[stream] = id
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    if last then
      local ms, place = string.match(last[1], '(%d+)-(%d+)')
      if tonumber(ms) >= now then
        id.ms, id.n = tonumber(ms), place - first
      end
    end
  end
  id.n = id.n + 1
  if id.n == SPAN then
    id.ms, id.n = id.ms + 1, 0
  end
  local added = string.format('%.0f-%.0f', id.ms, first + id.n)
  redis.call('XADD', stream, 'MAXLEN', '~', KEPT_CHANGES, added, ...)
  local size = #(select(4, ...) or '')
  if size > LARGE_CHANGE then
    id.large = id.large + size
    if now % 64 < id.large / 1024 then
      id.large = -MEASURED_EACH
      local length = redis.call('XLEN', stream)
      while length > 1 and redis.call('MEMORY', 'USAGE', stream, 'SAMPLES', 0) > KEPT_BYTES do
        length = math.floor(length / 2)
        redis.call('XTRIM', stream, 'MAXLEN', length)
      end
    end
  end
  -- Not before: a Redis that is full refuses a script's first write, and none after that.
  if is_first then
    redis.call('EXPIRE', stream, KEPT_SECONDS)
    if redis.call('XLEN', stream) > 2 * KEPT_OLD then
      redis.call('XTRIM', stream, 'MINID', '~', string.format('%.0f', now - KEPT_SECONDS * 1000), 'LIMIT', KEPT_OLD)
    end
  end
  return added
end
"""

# Each change takes two arguments: a head of "workspace seen number order occurred memory", and the entry. After the
# changes comes "workspace id" of the entry that this process added last. If that entry is gone, but was not trimmed,
# expired or erased, Redis has gone back to an older copy: a replica took over, or a crash lost the end of its file.
# The lost changes are not announced again, and a client that resumes from an older cursor would not notice. So all
# streams begin anew (docs/decisions/0139-a-redis-that-went-back.md).
APPEND = """
local begun = tonumber(redis.call('GET', 'BEGUN') or nil)
local home, mine, ms, place = string.match(table.remove(ARGV), '(%d+) ((%d+)-(%d+))')
ms, place = tonumber(ms), tonumber(place)
local function went_back()
  local stream = 'hookline:live:' .. home
  if redis.call('XRANGE', stream, mine, mine)[1] or redis.call('EXISTS', stream .. ':erased') == 1 then
    return false
  end
  local first = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not first then
    return true
  end
  local first_ms, first_place = string.match(first[1], '(%d+)-(%d+)')
  first_ms = tonumber(first_ms)
  return first_ms < ms or first_ms == ms and tonumber(first_place) < place
end
if mine and begun and begun <= ms and now - ms < KEPT_SECONDS * 1000 and went_back() then
  local found = {'0'}
  repeat
    found = redis.call('SCAN', found[1], 'MATCH', 'hookline:live:*[0-9]', 'COUNT', 1000)
    for _, stream in ipairs(found[2]) do
      redis.call('UNLINK', stream)
    end
  until found[1] == '0'
  begun = math.max(now, ms + 1)
  redis.call('SET', 'BEGUN', string.format('%.0f', begun))
end
local newest = ''
local taken = {}
for i = 1, #ARGV, 2 do
  local workspace, seen, number, order, occurred, memory =
    string.match(ARGV[i], '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
  local stream, entry = 'hookline:live:' .. workspace, ARGV[i + 1]
  number, order, occurred = tonumber(number), tonumber(order), tonumber(occurred)
  local last = tonumber(redis.call('GET', seen) or '0')
  local verdict = HELD
  if redis.call('EXISTS', stream) == 0 then
    verdict = NO_STREAM
  elseif number <= last then
    verdict = STANDS
  elseif order >= 2 and occurred + (order - 2) * DOUBT < tonumber(redis.call('GET', stream .. ':since') or '0') then
    verdict = STANDS
  elseif order > 0 or number == last + 1 then
    newest = workspace .. ' ' .. add(stream, workspace, 'k', string.sub(entry, 1, 1), 'e', string.sub(entry, 2))
    redis.call('SET', seen, number, 'EX', memory)
    verdict = STANDS
  end
  taken[#taken + 1] = verdict
end
if not begun and newest ~= '' then
  redis.call('SET', 'BEGUN', string.format('%.0f', now))
end
taken[#taken + 1] = newest
return taken
"""

# A stream begins with a marker. If Redis lost a stream, its readers meet a new marker and know that something may be
# missing. They read the database, which has all that was committed before the marker was made. `since` is a time before
# which everything had been committed by then, so the loop does not announce again what happened before it.
# Returns the stream's last id. An erased workspace gets no stream, even if somebody watches it or announces a change.
OPEN = """
local since, workspace = ARGV[1], ARGV[2]
local stream = 'hookline:live:' .. workspace
if redis.call('EXISTS', stream .. ':erased') == 1 then
  return '0-0'
end
if redis.call('EXISTS', stream) == 0 then
  redis.call('SET', stream .. ':since', since)
  add(stream, workspace, 'since', since)
end
redis.call('EXPIRE', stream, KEPT_SECONDS)
return redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1][1]
"""


def script(text: str) -> str:
    """The whole script that Redis runs for one of the above."""
    whole = _OWN + _ADD + text
    for name in (
        "KEPT_CHANGES", "KEPT_BYTES", "LARGE_CHANGE", "MEASURED_EACH", "KEPT_SECONDS", "KEPT_OLD", "DOUBT", "SPAN",
        "SERVED", "BEGUN", "HELD", "STANDS", "NO_STREAM",
    ):  # fmt: skip
        whole = whole.replace(name, str(globals()[name]))
    return whole
