-- KEYS[1]: the lock. ARGV: 4 nonce, 5 ttl.
if redis.call('GET', KEYS[1]) ~= ARGV[4] then return {'0'} end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {'1'}
