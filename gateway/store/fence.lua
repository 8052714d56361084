-- Tells which epoch the store is in, and opens another where it may have forgotten something.
--
-- An epoch is a stretch of time in which the store lost nothing. Its record names the run of the server that it was
-- opened for: a server that was restarted, or a replica that took over, has another run id and may have lost the
-- latest writes. So a new epoch begins, fenced for a while: until then only what processes remember is taken.
--
-- KEYS[1]  the epoch's record: "EPOCH RUN OPENS INTACT"; OPENS in microseconds; INTACT are earlier epochs of which
--          nothing is lost, each with a comma after it
-- KEYS[2]  the processes, a sorted set by when they were last here
-- KEYS[3]  the protocol that all processes here count by; see protocol.py
--
-- ARGV[1]  the process; "" for who does not count there
-- ARGV[2]  the run id of the server that the caller is connected to
-- ARGV[3]  the epoch that the caller knows, 0 for none
-- ARGV[4]  the latest store time that the caller saw, in microseconds
-- ARGV[5]  how long a new epoch is fenced, in microseconds
-- ARGV[6]  "1" where a restart loses nothing acknowledged
-- ARGV[7]  seconds after which a process that was not here counts as gone
-- ARGV[8]  "1" where the caller knows this run of the server from another record, which went away with its slot
-- ARGV[9]  the caller's protocol; who has another one learns no epoch, and so cannot count
--
-- Answers "NOW;EPOCH;OPENS;INTACT;PROCESSES".

local protocol = redis.call('GET', KEYS[3])
if protocol and protocol ~= ARGV[9] then
  return redis.error_reply('PROTOCOL the store is kept in protocol ' .. protocol .. ', this gateway counts in ' .. ARGV[9])
end
if not protocol then redis.call('SET', KEYS[3], ARGV[9]) end

local clock = redis.call('TIME')
local now = math.max(tonumber(clock[1]) * 1000000 + tonumber(clock[2]), tonumber(ARGV[4]))
local run, known, durable = ARGV[2], tonumber(ARGV[3]), ARGV[6] == '1'

local epoch, opens, intact = 0, 0, ''
local record = redis.call('GET', KEYS[1])
local holder
if record then
  epoch, holder, opens, intact = string.match(record, '^(%d+) (%S+) (%d+) ([%d,]*)$')
  if not epoch then return redis.error_reply('CORRUPT ' .. KEYS[1] .. ' is not the record of an epoch') end
  epoch, opens = tonumber(epoch), tonumber(opens)
end

if not record and ARGV[8] == '1' then
  epoch, holder, record = known, run, ''
end

local lost = not (record and (holder == run or durable))
if lost or known > epoch then
  local first = durable and known == 0 -- a store of our own that is new
  intact = lost and '' or intact .. string.format('%.0f,', epoch)
  epoch = math.max(math.floor(now / 1000), epoch + 1, known + 1)
  opens = first and now or now + tonumber(ARGV[5])
end
local written = string.format('%.0f %s %.0f %s', epoch, run, opens, intact)
if written ~= record then redis.call('SET', KEYS[1], written) end

local patience = tonumber(ARGV[7]) * 1000000
if ARGV[1] ~= '' then redis.call('ZADD', KEYS[2], string.format('%.0f', now), ARGV[1]) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', string.format('(%.0f', now - patience))
local processes = redis.call('ZCARD', KEYS[2])
return string.format('%.0f;%.0f;%.0f;%s;%d', now, epoch, opens, intact, processes)
