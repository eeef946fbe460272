-- KEYS[1]: a counter whose failures fade. ARGV as of a charge.
local n, blocked, last = unpack(redis.call('HMGET', KEYS[1], 'n', 'u', 'l'))
n, blocked, last = tonumber(n or 0), tonumber(blocked or 0), tonumber(last or 0)
local fades = tonumber(ARGV[8])
if n == 0 or fades == 0 or now >= math.max(last + tonumber(ARGV[7]), blocked) then return {} end
local faded = math.floor(math.max(0, now - last) / fades)
n, last = math.max(0, n - faded), last + faded * fades
local over = n - tonumber(ARGV[4])
if over > 0 then
  blocked = math.max(blocked, now + math.min(tonumber(ARGV[5]) * 2 ^ math.min(over - 1, 31), tonumber(ARGV[6])))
end
redis.call('HSET', KEYS[1], 'n', whole(n), 'u', whole(blocked), 'l', whole(last))
live_until(KEYS[1], math.max(now + tonumber(ARGV[7]), blocked))
return {}
