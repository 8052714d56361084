-- Drops last calls of a process that it will not send again: see consume.lua. One that a later call has replaced stays.
--
-- KEYS[i]  a last call: "NUMBER ANSWER"
-- ARGV[1]  the latest store time that the caller saw, in microseconds
-- ARGV[1+i]  the number that call i has
--
-- Answers the time in microseconds.

for i, key in ipairs(KEYS) do
  local last = redis.call('GET', key)
  if last and string.match(last, '^%d+') == ARGV[i + 1] then redis.call('DEL', key) end
end
local clock = redis.call('TIME')
return string.format('%.0f', math.max(tonumber(clock[1]) * 1000000 + tonumber(clock[2]), tonumber(ARGV[1])))
