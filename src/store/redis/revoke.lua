-- ARGV: 4 family.
local k = key('f', ARGV[4])
local absolute = redis.call('HGET', k, 'a')
if not absolute then return {'0'} end
redis.call('HSET', k, 'st', 'r')
live_until(k, tonumber(absolute))
return {'1'}
