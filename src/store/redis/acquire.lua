-- KEYS[1]: the lock. ARGV: 4 nonce, 5 ttl.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[4] then return {'0'} end
redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
return {'1'}
