-- ARGV: 4 handle. A handle the session no longer goes by finds nothing.
local id = redis.call('GET', key('h', ARGV[4]))
if not id or redis.call('HGET', key('s', id), 'h') ~= ARGV[4] then return {} end
return record(id)
