-- KEYS[1]: a counter. ARGV: 4 free, 5 first block, 6 longest block, 7 memory, 8 how fast failures fade or 0, 9 how many
-- more may be under way; spans in ms.
local n, serial, blocked, last = unpack(redis.call('HMGET', KEYS[1], 'n', 's', 'u', 'l'))
n, serial, blocked, last = tonumber(n or 0), tonumber(serial or 0), tonumber(blocked or 0), tonumber(last or 0)
local free, fades = tonumber(ARGV[4]), tonumber(ARGV[8])
if n == 0 or now >= math.max(last + tonumber(ARGV[7]), blocked) then n, serial, blocked, last = 0, 0, 0, now end
if fades > 0 then
  local faded = math.floor(math.max(0, now - last) / fades)
  n, last = math.max(0, n - faded), last + faded * fades
end
if blocked > now then return {'blocked', whole(blocked - now)} end
if fades > 0 and n >= free + tonumber(ARGV[9]) then return {'blocked', '1000'} end
if fades == 0 or n == 0 then last = now end
n, serial, blocked = n + 1, serial + 1, 0
local over = n - free
if fades == 0 and over > 0 then
  blocked = now + math.min(tonumber(ARGV[5]) * 2 ^ math.min(over - 1, 31), tonumber(ARGV[6]))
end
redis.call('HSET', KEYS[1], 'n', whole(n), 's', whole(serial), 'u', whole(blocked), 'l', whole(last))
live_until(KEYS[1], math.max(now + tonumber(ARGV[7]), blocked))
return {'taken', whole(serial)}
