-- What the live replicas enforce.
-- KEYS: acknowledgements, live replicas. ARGV: milliseconds until a replica counts as gone.
local time = redis.call('TIME')
local since = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1])
local enforced = {}
for _, replica in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', since), '+inf')) do
  enforced[#enforced + 1] = redis.call('HGET', KEYS[1], replica) or '0-0'
end
return enforced
