-- KEYS[1] as in provider_note.
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. whole(now), '+inf')
