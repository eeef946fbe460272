-- ARGV: 4 id, 5 cap, 6 policy, 7 idle, 8 absolute, 9 handle, 10 family, 11 its idle, 12 its absolute, 13 body,
-- 14... sessions the caller has revoked.
local id = ARGV[4]
local known = record(id)
if known[1] then return {'DONE', known[3], known[4], known[5], known[6]} end

local live = sessions()
local over = #live - tonumber(ARGV[5]) + 1
if ARGV[6] == 'single' then over = #live end
if over > 0 and ARGV[6] == 'reject' then return {'FULL'} end

local revoked, answer = {}, {'REVOKE'}
for i = 14, #ARGV do revoked[ARGV[i]] = true end
for i = 1, over do
  if not revoked[live[i]] then answer[#answer + 1] = live[i] end
end
if #answer > 1 then return answer end
for i = 1, over do drop(live[i]) end

local idle, absolute = tonumber(ARGV[7]), now + tonumber(ARGV[8])
redis.call('HSET', key('s', id), 'v', '1', 'c', whole(now), 'l', whole(now), 'i', ARGV[7], 'a', whole(absolute),
  'h', ARGV[9], 'f', ARGV[10], 'b', ARGV[13])
live_until(key('s', id), math.min(now + idle, absolute))
redis.call('ZADD', KEYS[1], whole(now), id)
if redis.call('PTTL', KEYS[1]) < absolute - now then live_until(KEYS[1], absolute) end
if ARGV[9] ~= '' then redis.call('SET', key('h', ARGV[9]), id, 'PX', ARGV[8]) end
if ARGV[10] ~= '' then
  local family, ends = key('f', ARGV[10]), now + tonumber(ARGV[12])
  local idle_at = math.min(now + tonumber(ARGV[11]), ends)
  redis.call('HSET', family, 's', id, 'n', '0', 'ct', whole(now), 'lh', whole(now), 'cf', '0', 'st', 'a',
    'ia', whole(idle_at), 'a', whole(ends), 'gl', '0', 'gc', '0', 'gr', '0')
  live_until(family, idle_at)
end
return {'DONE', whole(now), whole(now), ARGV[7], whole(absolute)}
