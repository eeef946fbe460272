-- ARGV: 4... id, last seen, idle; again and again. A session that is gone stays gone.
local answer = {}
for i = 4, #ARGV, 3 do
  local k = key('s', ARGV[i])
  local known = redis.call('HMGET', k, 'l', 'a')
  if alive(ARGV[i]) then
    -- the latest moment counts, and none beyond now
    local last = math.max(tonumber(known[1]), math.min(tonumber(ARGV[i + 1]), now))
    redis.call('HSET', k, 'l', whole(last), 'i', ARGV[i + 2])
    live_until(k, expires(last, ARGV[i + 2], known[2]))
    answer[#answer + 1] = '1'
  else
    answer[#answer + 1] = '0'
  end
end
return answer
