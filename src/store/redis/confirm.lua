-- ARGV: 4 family, 5 generation.
local k = key('f', ARGV[4])
local f = redis.call('HMGET', k, 'n', 'cf')
if not f[1] then return {'0'} end
local seen = tonumber(ARGV[5])
if seen <= tonumber(f[1]) and seen > tonumber(f[2]) then redis.call('HSET', k, 'cf', whole(seen)) end
return {'1'}
