-- KEYS[1]: a counter. As it stands, and the moment at which it does.
local r = redis.call('HMGET', KEYS[1], 'n', 's', 'u', 'l')
return {r[1] or '0', r[2] or '0', r[3] or '0', r[4] or '0', whole(now)}
