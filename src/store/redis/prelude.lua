-- Stands before every script. KEYS[1] places the call in one slot; ARGV[1] is a clock that tests set and production
-- leaves empty; ARGV[2] is the prefix of all keys; ARGV[3] the user, whose keys share one hash tag.
local now, micros = tonumber(ARGV[1]), nil
if now then
  micros = now * 1000
else
  local t = redis.call('TIME')
  micros = t[1] * 1000000 + t[2]
  now = math.floor(micros / 1000)
end

local function key(kind, name) return ARGV[2] .. kind .. ':{' .. ARGV[3] .. '}:' .. name end
local function whole(number) return string.format('%.0f', number) end

-- Sets the remaining life of a key. Relative, because `now` may not be the server's.
local function live_until(k, moment) redis.call('PEXPIRE', k, whole(math.max(1, moment - now))) end

local function expires(last, idle, absolute) return math.min(tonumber(last) + tonumber(idle), tonumber(absolute)) end

-- A live session as a flat list, or an empty one.
local function record(id)
  local r = redis.call('HMGET', key('s', id), 'v', 'c', 'l', 'i', 'a', 'f', 'b')
  if not r[1] or now >= expires(r[3], r[4], r[5]) then return {} end
  table.insert(r, 1, id)
  return r
end

local function alive(id)
  local r = redis.call('HMGET', key('s', id), 'l', 'i', 'a')
  return r[1] and now < expires(r[1], r[2], r[3])
end

-- The live sessions of the user, oldest first; what has expired leaves the index.
local function sessions()
  local live = {}
  for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if alive(id) then live[#live + 1] = id else redis.call('ZREM', KEYS[1], id) end
  end
  return live
end

-- Deletes a session, with the handle that finds it, and revokes its family: one that was signed out renews nothing.
local function drop(id)
  local r = redis.call('HMGET', key('s', id), 'f', 'h')
  if r[1] and r[1] ~= '' then
    local family = key('f', r[1])
    if redis.call('EXISTS', family) == 1 then redis.call('HSET', family, 'st', 'r') end
  end
  if r[2] and r[2] ~= '' then redis.call('DEL', key('h', r[2])) end
  redis.call('DEL', key('s', id))
  redis.call('ZREM', KEYS[1], id)
end

