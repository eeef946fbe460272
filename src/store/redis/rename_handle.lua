-- ARGV: 4 id, 5 handle.
if not alive(ARGV[4]) then return {'0'} end
local known = redis.call('HMGET', key('s', ARGV[4]), 'h', 'a')
if known[1] ~= '' then redis.call('DEL', key('h', known[1])) end
redis.call('HSET', key('s', ARGV[4]), 'h', ARGV[5])
redis.call('SET', key('h', ARGV[5]), ARGV[4], 'PX', whole(math.max(1, tonumber(known[2]) - now)))
return {'1'}
