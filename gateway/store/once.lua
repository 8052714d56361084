-- Marks that something that may be used once was used, and tells whether it was used before.
--
-- KEYS[1]  the mark
--
-- ARGV[1]  the key of the epoch's record (see fence.lua), on this server
-- ARGV[2]  the epoch, and the run of the server, as the caller knows them: "EPOCH RUN"
-- ARGV[3]  milliseconds for which the mark is kept
-- ARGV[4]  when the thing was made at the earliest, in Unix milliseconds
--
-- Answers "first", "again"; or "unknown" for what is older than the epoch: the store may have forgotten its use.

local record = redis.call('GET', ARGV[1]) or ''
local epoch, run, opens = string.match(record, '^(%d+) (%S+) (%d+) ')
if not epoch or epoch .. ' ' .. run ~= ARGV[2] then
  return redis.error_reply('EPOCH the store may have forgotten something')
end
local clock = redis.call('TIME')
if tonumber(clock[1]) * 1000000 + tonumber(clock[2]) < tonumber(opens) then
  return redis.error_reply('FENCED the store waits for what processes remember')
end
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[3]) then return 'again' end
return tonumber(ARGV[4]) < tonumber(epoch) and 'unknown' or 'first'
