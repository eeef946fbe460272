-- KEYS[1]: a counter. ARGV: 4 free, 5 first block, 6 longest block, 7 memory; spans in ms.
local n, serial, blocked, last = unpack(redis.call('HMGET', KEYS[1], 'n', 's', 'u', 'l'))
n, serial, blocked, last = tonumber(n or 0), tonumber(serial or 0), tonumber(blocked or 0), tonumber(last or 0)
if now >= math.max(last + tonumber(ARGV[7]), blocked) then n, serial, blocked = 0, 0, 0 end
if blocked > now then return {'blocked', whole(blocked - now)} end
n, serial, blocked = n + 1, serial + 1, 0
local over = n - tonumber(ARGV[4])
if over > 0 then
  blocked = now + math.min(tonumber(ARGV[5]) * 2 ^ math.min(over - 1, 31), tonumber(ARGV[6]))
end
redis.call('HSET', KEYS[1], 'n', whole(n), 's', whole(serial), 'u', whole(blocked), 'l', whole(now))
live_until(KEYS[1], math.max(now + tonumber(ARGV[7]), blocked))
return {'taken', whole(serial)}
