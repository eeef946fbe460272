-- ARGV: 4 id.
return record(ARGV[4])
