-- The names of an owner's records, each until its time is over.
--
-- KEYS[1]  a sorted set of names by when they end, in Unix milliseconds
--
-- ARGV[1]  a name to add, until ARGV[2] milliseconds from now; without both nothing is added
--
-- Answers the names that have not ended.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

if ARGV[1] then
  redis.call('ZADD', KEYS[1], 'GT', now + tonumber(ARGV[2]), ARGV[1])
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last[2])))
  return {}
end
return redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now), '+inf')
