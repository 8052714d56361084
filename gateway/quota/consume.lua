-- Counts, for one process and one scope, everything that waits for the ledger: all of a request's counters at full
-- cost, or none of them. What a process sends twice under the same number is counted once and answered alike.
--
-- KEYS[1]    the process's last call about this scope: "NUMBER ANSWER"
-- KEYS[2]    the outbox, a stream
-- KEYS[2+i]  the counter of row i: "SPENT BIN,BIN…", the bins being those already raised; rows may share a counter
--
-- ARGV[1]  the call's number; a process's numbers only rise
-- ARGV[2]  the latest store time that the caller saw, in microseconds
-- ARGV[3]  seconds to remember this call
-- ARGV[4]  how many rows, then for each row:
--            value            of the limit
--            start, end       of the window in microseconds; the end is "" for eternity
--            drop             Unix seconds at which the counter is forgotten; "" for never
--            report           units that are spent already and are added whatever the limit says
--            bins             "BIN=UNITS BIN=UNITS…": at how many units each bin is reached
--            about            an alert's JSON up to the bin within its id
--          then how many shapes, then for each shape:
--            wanted           how many requests of this shape wait
--            lines            how many lines, then for each line: row, cost
--
-- Answers "NOW;SPENT,SPENT…;GRANTED,GRANTED…": the time in microseconds, units spent per row ("-" where the window
-- does not hold NOW and nothing was granted from it), requests granted per shape.
--
-- Everything is read and decided before the first write, so that an error leaves nothing half done.

local LARGEST = 9007199254740992 -- 2^53: sums stop here rather than lose a unit

local number = tonumber(ARGV[1])
local last = redis.call('GET', KEYS[1])
if last then
  local known, answer = string.match(last, '^(%d+) (.*)$')
  known = tonumber(known)
  if known == number then return answer end
  if known > number then return redis.error_reply('SUPERSEDED a later call of this process has been answered') end
end

local clock = redis.call('TIME')
local real = tonumber(clock[1])
local now = math.max(real * 1000000 + tonumber(clock[2]), tonumber(ARGV[2]))

local function read(key)
  local counter = {key = key, spent = 0, raised = '', changed = false}
  local packed = redis.call('GET', key)
  if packed then
    local spent, raised = string.match(packed, '^(%d+) ([%d,]*)$')
    if not spent then return nil end
    counter.spent, counter.raised = tonumber(spent), raised
  end
  return counter
end

local function is_raised(counter, bin)
  return string.find(',' .. counter.raised .. ',', ',' .. bin .. ',', 1, true) ~= nil
end

local at = 4
local function argument()
  at = at + 1
  return ARGV[at]
end

local counters, rows = {}, {}
for i = 1, tonumber(ARGV[4]) do
  local key = KEYS[i + 2]
  local counter = counters[key] or read(key)
  if not counter then return redis.error_reply('CORRUPT ' .. key .. ' is not a counter') end
  counters[key] = counter
  local row = {counter = counter, value = tonumber(argument())}
  local starts, ends = tonumber(argument()), tonumber(argument()) or math.huge
  row.open = starts <= now and now < ends
  counter.drop = argument()
  row.report = tonumber(argument())
  row.bins, row.about = argument(), argument()
  if row.report > 0 then
    counter.spent = math.min(LARGEST, counter.spent + row.report)
    counter.changed = true
  end
  rows[i] = row
end

local function fits(lines, wanted)
  for _, line in ipairs(lines) do
    local room = line.row.value - line.row.counter.spent
    if not line.row.open or room < 0 then return 0 end
    if line.cost > 0 then
      wanted = math.min(wanted, math.floor(room / line.cost))
      if wanted * line.cost > room then wanted = wanted - 1 end -- a quotient near 2^53 may be rounded up
    end
  end
  return wanted
end

local grants = {}
for i = 1, tonumber(argument()) do
  local wanted, lines = tonumber(argument()), {}
  for j = 1, tonumber(argument()) do
    lines[j] = {row = rows[tonumber(argument())], cost = tonumber(argument())}
  end
  local granted = fits(lines, wanted)
  for _, line in ipairs(lines) do
    if granted * line.cost > 0 then
      line.row.counter.spent = line.row.counter.spent + granted * line.cost
      line.row.counter.changed = true
    end
  end
  grants[i] = string.format('%.0f', granted)
end

local crossings = {}
for _, row in ipairs(rows) do
  local counter = row.counter
  if row.open or row.report > 0 then
    for bin, units in string.gmatch(row.bins, '(%d+)=(%d+)') do
      if counter.spent >= tonumber(units) and not is_raised(counter, bin) then
        counter.raised = counter.raised == '' and bin or counter.raised .. ',' .. bin
        counter.changed = true
        crossings[#crossings + 1] = string.format(
          '%s%s", "bin": %s, "spent": %.0f, "raised_at": %.6f}', row.about, bin, bin, counter.spent, now / 1000000)
      end
    end
  end
end

for _, alert in ipairs(crossings) do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', '100000', '*', 'alert', alert)
end
for key, counter in pairs(counters) do
  if counter.changed then
    local packed = string.format('%.0f %s', counter.spent, counter.raised)
    if counter.drop == '' then
      redis.call('SET', key, packed)
    elseif tonumber(counter.drop) > real then
      redis.call('SET', key, packed, 'EXAT', counter.drop)
    end
  end
end

local states = {}
for i, row in ipairs(rows) do
  states[i] = row.open and string.format('%.0f', row.counter.spent) or '-'
end
local answer = string.format('%.0f;%s;%s', now, table.concat(states, ','), table.concat(grants, ','))
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. answer, 'EX', ARGV[3])
return answer
