-- KEYS: buckets, each the moment in microseconds at which it is full again. ARGV from 4, five for each: from one token to
-- the next, the most tokens, how many are wanted, how many at least, how far from full it is at least. For each bucket:
-- granted, left, until it is full, until there is the least.
local said = {}
for i = 1, #KEYS do
  local at = 5 * i - 1
  local interval, burst = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local want, least, ahead = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local fill = interval * burst
  local full = tonumber(redis.call('GET', KEYS[i]) or 0) or 0
  -- a bucket that was of another shape is empty at worst
  full = math.min(math.max(full, micros + ahead), micros + fill)
  local available = math.floor((micros + fill - full) / interval)
  local granted, retry = 0, 0
  if available < least then
    retry = math.max(0, full + interval * least - micros - fill)
  else
    granted = math.min(want, available)
  end
  full = full + interval * granted
  if granted > 0 or ahead > 0 then
    redis.call('SET', KEYS[i], whole(full), 'PX', whole(math.ceil((full - micros) / 1000) + 1000))
  end
  for _, number in ipairs({granted, available - granted, full - micros, retry}) do said[#said + 1] = whole(number) end
end
return said
