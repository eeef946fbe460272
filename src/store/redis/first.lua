-- KEYS[1]: what may happen once. ARGV: 4 a nonce of this question, 5 until when it counts, 6 how much longer it is kept.
-- The same question again, after its answer was lost, gets the same answer.
local ttl = math.max(0, tonumber(ARGV[5]) - now) + tonumber(ARGV[6])
if redis.call('SET', KEYS[1], ARGV[4], 'NX', 'PX', whole(ttl)) then return {'1'} end
return {redis.call('GET', KEYS[1]) == ARGV[4] and '1' or '0'}
