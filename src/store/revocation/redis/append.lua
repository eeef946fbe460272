-- Appends records, each naming the one before it, and tells subscribers in the same step: nobody hears of an entry that
-- is not in the log, and nobody can slip between two entries of a batch.
-- KEYS: log, meta. ARGV: milliseconds to keep, channel, then the records.
-- A log that lost its memory has no epoch, and takes nothing until somebody has opened it.
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then return {} end
local time = redis.call('TIME')
local oldest = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(ARGV[1]))
oldest = string.format('%.0f-0', oldest)
local previous = redis.call('HGET', KEYS[2], 'last')
local answer = {epoch, previous}
local told = {epoch, ' ', previous}
for i = 3, #ARGV do
  local id = redis.call('XADD', KEYS[1], 'MINID', '~', oldest, '*', 'p', previous, 'd', ARGV[i])
  previous = id
  answer[#answer + 1] = id
  told[#told + 1] = ' ' .. id .. ' ' .. ARGV[i]
end
redis.call('HSET', KEYS[2], 'last', previous)
redis.call('PUBLISH', ARGV[2], table.concat(told))
return answer
