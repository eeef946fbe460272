-- KEYS[1]: the lock. ARGV: 4 nonce.
if redis.call('GET', KEYS[1]) ~= ARGV[4] then return {'0'} end
redis.call('DEL', KEYS[1])
return {'1'}
