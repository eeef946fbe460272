-- ARGV: 4 id.
local lived = alive(ARGV[4]) and '1' or '0'
drop(ARGV[4])
return {lived}
