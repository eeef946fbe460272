-- ARGV: 4 id, 5 the version seen, 6 body.
local known = record(ARGV[4])
if not known[1] then return {'GONE'} end
if known[2] ~= ARGV[5] then
  table.insert(known, 1, 'STALE')
  return known
end
local version = whole(tonumber(known[2]) + 1)
redis.call('HSET', key('s', ARGV[4]), 'v', version, 'b', ARGV[6])
return {'DONE', version}
