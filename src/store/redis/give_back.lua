-- KEYS[1]: a counter. ARGV: 4 which charge, 5 free, 6 how fast failures fade or 0.
local n, serial = unpack(redis.call('HMGET', KEYS[1], 'n', 's'))
n, serial = tonumber(n or 0), tonumber(serial or 0)
local charge = tonumber(ARGV[4])
if n == 0 or charge > serial then return {} end
n = n - 1
if n == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'n', whole(n))
  local began = ARGV[6] == '0' and charge == serial
  if began or n <= tonumber(ARGV[5]) then redis.call('HSET', KEYS[1], 'u', '0') end
end
return {}
