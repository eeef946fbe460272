-- What a presented renewal token deserves: `domain::family::present`, word for word, where all replicas meet.
-- ARGV: 4 family, 5 generation, 6 grace, 7 idle, 8 rotation, 9 longest streak, 10 same device, 11 bounced,
-- 12 transport, 13 a nonce of this question.
local k = key('f', ARGV[4])
local shown, grace = tonumber(ARGV[5]), tonumber(ARGV[6])
local cookie, bounced, same_device = ARGV[12] == 'cookie', ARGV[11] == '1', ARGV[10] == '1'
local f = redis.call('HMGET', k, 'n', 'ct', 'lh', 'cf', 'st', 'ia', 'a', 's', 'gl', 'gc', 'gr', 'q', 'qv')
if not f[1] then return {} end
local n, created, handed, confirmed = tonumber(f[1]), tonumber(f[2]), tonumber(f[3]), tonumber(f[4])
local absolute = tonumber(f[7])

local function rule(verdict) return {verdict, whole(n), f[8], f[7]} end
local function set(...) redis.call('HSET', k, ...) end
local function keep_alive()
  local idle_at = math.min(now + tonumber(ARGV[7]), absolute)
  set('ia', whole(idle_at))
  live_until(k, idle_at)
end
local function advance(made)
  n, created, handed = made, now, now
  set('n', whole(n), 'ct', whole(now), 'lh', whole(now))
end
-- A cluster's client repeats a question whose answer was lost: it must not count as a second use.
local function remember(verdict) set('q', ARGV[13], 'qv', verdict) end
if f[12] == ARGV[13] then return rule(f[13]) end

if f[5] ~= 'a' then return rule('REVOKED') end
if now >= tonumber(f[6]) then return rule('EXPIRED') end
if shown > n then
  advance(shown)
  confirmed = shown
  set('cf', whole(shown))
end
if shown == n then
  if confirmed < shown then set('cf', whole(shown)) end
  if (cookie and now - handed < grace) or ARGV[8] == 'never' then
    keep_alive()
    return rule('SAME')
  end
  if n >= 4294967295 then return rule('EXPIRED') end
  advance(n + 1)
  keep_alive()
  remember('ROTATED')
  return rule('ROTATED')
end

local may_bounce = grace > 0 and cookie and not bounced
if shown == n - 1 and grace > 0 and same_device then
  local length, counted, reaches = tonumber(f[9]), tonumber(f[10]), tonumber(f[11])
  if confirmed < n then
    if n - reaches == 1 then set('gr', whole(n)) end
    set('lh', whole(now))
    keep_alive()
    return rule('REISSUED')
  end
  if cookie and now - created <= grace then
    if length == 0 or n - reaches > 1 then length = 1 elseif counted ~= n then length = length + 1 end
    set('gl', whole(length), 'gc', whole(n), 'gr', whole(n))
    if length >= tonumber(ARGV[9]) then return rule(may_bounce and 'BOUNCE' or 'STEPUP') end
    set('lh', whole(now))
    keep_alive()
    return rule('GRACE')
  end
end
if may_bounce then return rule('BOUNCE') end
set('st', 'r')
live_until(k, absolute)
remember('REUSE')
return rule('REUSE')
