-- Starts the log when there is none. Of several who try, one wins; all learn the same epoch.
-- KEYS: meta. ARGV: candidate epoch.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], 'last', '0-0', 'born', string.format('%.0f', now))
end
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'last', 'born')
return {meta[1], meta[2], string.format('%.0f', now - tonumber(meta[3]))}
