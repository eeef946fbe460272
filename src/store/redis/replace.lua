-- KEYS[1]: a document. ARGV: 4 the version seen, 5 bytes.
if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[4] then return {'0'} end
redis.call('HSET', KEYS[1], 'v', whole(tonumber(ARGV[4]) + 1), 'b', ARGV[5])
return {'1'}
