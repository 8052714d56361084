-- What an operator changes of one scope's counters: adds to what may be used, or starts again at 0.
--
-- KEYS[i]  the counter of row i; see consume.lua. Each is there once.
--
-- ARGV[1]  the key of the epoch's record
-- ARGV[2]  the epoch, and the run of the server, as the caller knows them: "EPOCH RUN"
-- ARGV[3]  units to add to `topped`; below 0 takes back what was added, and no more
-- ARGV[4]  "1": `spent` becomes 0
-- ARGV[5…] for each row: start, end (microseconds; "" for eternity), drop
--
-- `held` stays: those units are in the hands of processes, which use or return them. So do the alerts that were raised.
--
-- Answers "SPENT HELD TOPPED SPENT HELD TOPPED" for each row, before and after. All rows are changed, or none.

local LARGEST = 9007199254740992 -- 2^53

local record = redis.call('GET', ARGV[1]) or ''
local epoch, run, opens, intact = string.match(record, '^(%d+) (%S+) (%d+) ([%d,]*)$')
if not epoch or epoch .. ' ' .. run ~= ARGV[2] then
  return redis.error_reply('EPOCH the store may have forgotten something')
end
local clock = redis.call('TIME')
local real = tonumber(clock[1])
local now = real * 1000000 + tonumber(clock[2])
if now < tonumber(opens) then return redis.error_reply('FENCED the store waits for what processes remember') end
local added, is_reset = tonumber(ARGV[3]), ARGV[4] == '1'

local function read(key)
  local packed = redis.call('GET', key)
  if not packed then return {spent = 0, held = 0, topped = 0, epoch = '0', version = 0, raised = '', base = '', more = ''} end
  local spent, held, topped, since, version, raised, base =
    string.match(packed, '^(%d+) (%d+) (%d+) (%d+) (%d+) ([%d,]*)(.*)$')
  if not spent then return nil end
  local known, more = string.match(base, '^([%d ]-)( ?%+.*)$')
  return {spent = tonumber(spent), held = tonumber(held), topped = tonumber(topped), epoch = since,
    version = tonumber(version), raised = raised, base = known or base, more = more or ''}
end

local function units(counter)
  return string.format('%.0f %.0f %.0f', counter.spent, counter.held, counter.topped)
end

local function rise(counter) -- as in consume.lua
  if tonumber(counter.epoch) < tonumber(epoch) then
    local is_intact = string.find(',' .. intact, ',' .. counter.epoch .. ',', 1, true)
    if counter.version > 0 and not is_intact then
      counter.base = string.format(' %s %.0f %.0f %.0f', counter.epoch, counter.version, counter.spent, counter.held)
    end
    counter.epoch = epoch
  end
  counter.version = counter.version + 1
end

local answers, counters = {}, {}
for i, key in ipairs(KEYS) do
  local first = 5 + (i - 1) * 3
  local starts, ends = tonumber(ARGV[first]), tonumber(ARGV[first + 1]) or math.huge
  if now < starts or ends <= now then return redis.error_reply('WINDOW ' .. key .. ' is of another time than ' .. real) end
  local counter = read(key)
  if not counter then return redis.error_reply('CORRUPT ' .. key .. ' is not a counter') end
  local before = units(counter)
  rise(counter)
  if added < -counter.topped or added > LARGEST - counter.topped then
    return redis.error_reply(string.format('RANGE %.0f were added; it can be 0 to 2^53', counter.topped))
  end
  counter.topped = counter.topped + added
  if is_reset then counter.spent = 0 end
  counters[i] = counter
  answers[i] = before .. ' ' .. units(counter)
end

for i, key in ipairs(KEYS) do
  local counter, drop = counters[i], ARGV[5 + (i - 1) * 3 + 2]
  local packed = string.format('%s %s %.0f %s%s%s', units(counter), counter.epoch, counter.version, counter.raised, counter.base,
    counter.more)
  if drop == '' then redis.call('SET', key, packed) else redis.call('SET', key, packed, 'EXAT', drop) end
end
return answers
