-- Writes marks: new ones, or those that the store may have forgotten and a process remembers.
--
-- KEYS[1]  the marks, and KEYS[2] their order: see marks.lua
-- KEYS[3]  the names of those that end, in a sorted set by when, in Unix microseconds
--
-- ARGV[1]  the latest version that the caller has seen
-- ARGV[2]  how many marks there may be
-- ARGV[3…] for each mark: name; stamp (when it was made, in Unix microseconds), or "" for now; when it ends, or "" for
--          never; its JSON. One with a stamp is written unless a later one is there.
--
-- Stamps are later than all that were given before. Answers the stamp of the last mark.

local SOME = 100 -- ended ones that are forgotten at a time

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local version, life = string.match(redis.call('HGET', KEYS[1], '') or '', '^(%d+) (%d+)$')
version = math.max(tonumber(version) or 0, tonumber(ARGV[1]))

for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now), 'LIMIT', 0, SOME)) do
  redis.call('HDEL', KEYS[1], name)
  redis.call('ZREM', KEYS[2], name)
  redis.call('ZREM', KEYS[3], name)
end

local number, stamp = redis.call('HLEN', KEYS[1]) - (life and 1 or 0), 0
for i = 3, #ARGV, 4 do
  local name, ends, mark = ARGV[i], ARGV[i + 2], ARGV[i + 3]
  local known = redis.call('HGET', KEYS[1], name)
  local before = known and tonumber(string.match(known, '^%d+')) or 0
  local given = tonumber(ARGV[i + 1])
  if not known then
    number = number + 1
    if number > tonumber(ARGV[2]) then return redis.error_reply('FULL there are ' .. ARGV[2] .. ' marks') end
  end
  if not given or given > before then
    version = math.max(now, version + 1)
    stamp = given or version
    redis.call('HSET', KEYS[1], name, string.format('%.0f %s', stamp, mark))
    redis.call('ZADD', KEYS[2], string.format('%.0f', version), name)
    if ends == '' then redis.call('ZREM', KEYS[3], name) else redis.call('ZADD', KEYS[3], ends, name) end
    life = life or string.format('%.0f', version)
    redis.call('HSET', KEYS[1], '', string.format('%.0f %s', version, life))
  end
end
return string.format('%.0f', stamp)
