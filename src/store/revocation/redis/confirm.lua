-- Notes that a replica lives and what it enforces, and reads the tail: a write, so that only who may write confirms.
-- KEYS: meta, acknowledgements, live replicas. ARGV: replica, its epoch, its position, milliseconds until it counts as gone.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'last')
local enforced = ARGV[3]
-- what was enforced of another log says nothing about this one
if meta[1] ~= ARGV[2] then enforced = '0-0' end
redis.call('ZADD', KEYS[3], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], enforced)
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now - tonumber(ARGV[4])))) do
  redis.call('ZREM', KEYS[3], gone)
  redis.call('HDEL', KEYS[2], gone)
end
return {meta[1] or '', meta[2] or '0-0', string.format('%.0f', now), redis.call('HVALS', KEYS[2])}
