-- Keeps the books of one process and one scope: takes reports and returns, grants what waits (all of a request's
-- counters at full cost, or none of them), and leases units ahead. What a process sends twice under the same number
-- is done once and answered alike.
--
-- A counter has `spent` (units of admitted requests), `held` (leased to processes), `topped` (added to the limit's
-- value). Never are spent + held more than value + topped.
--
-- KEYS[1]    the process's last call about this scope: "NUMBER ANSWER"
-- KEYS[1+i]  the counter of row i; rows may share one:
--            "SPENT HELD TOPPED EPOCH VERSION BIN,BIN…" and, where it went through a loss of the store's data, its
--            base " EPOCH VERSION SPENT HELD": see publish.lua. The bins are those already raised. What follows from
--            " +" on is a later version's: it stays as it is.
--
-- ARGV[1]  the call's number; a process's numbers only rise
-- ARGV[2]  the latest store time that the caller saw, in microseconds
-- ARGV[3]  seconds to remember this call
-- ARGV[4]  the key of the epoch's record (see fence.lua), on this server
-- ARGV[5]  the epoch, and the run of the server, as the caller knows them: "EPOCH RUN"
-- ARGV[6]  the key of the outbox, a stream on this server
-- ARGV[7]  how many processes there are
-- ARGV[8]  "1": the caller settles for a process that died, and asks for the answer to its last call
-- ARGV[9]  how many rows, then for each row:
--            value            of the limit, as far as it is leased
--            start, end       of the window in microseconds; the end is "" for eternity
--            drop             Unix seconds at which the counter is forgotten; "" for never
--            used             units that were used out of those held
--            apart            units that were admitted without being held
--            beside           units that were admitted out of what is never leased: the limit is higher by as much
--            back             units that are returned
--            want             units to lease ahead, if there are enough
--            bins             "BIN=UNITS BIN=UNITS…": at how many units each bin is reached
--            about            an alert's JSON up to the bin within its id
--          then how many shapes, then for each shape:
--            wanted           how many requests of this shape wait; below 0: so many, for which units are leased but not
--                             spent yet, because they need counters of other scopes too
--            lines            how many lines, then for each line: row, cost
--
-- Answers "NOW;ROW|ROW…;GRANTED,GRANTED…;LAST": the time in microseconds, the rows, requests granted per shape, and
-- the last call if it was asked for. A row is "SPENT,HELD,TOPPED,EPOCH,VERSION,DIRECT,AHEAD,BIN.BIN…": DIRECT are the
-- units of granted requests, spent already; AHEAD those leased. Or "-" where the window does not hold NOW.
--
-- Everything is read and decided before the first write, so that an error leaves nothing half done.

local LARGEST = 9007199254740992 -- 2^53: sums stop here rather than lose a unit
local SOME = '100000' -- alerts kept for delivery, about

local epoch_record = redis.call('GET', ARGV[4]) or ''
local epoch, run, opens, intact = string.match(epoch_record, '^(%d+) (%S+) (%d+) ([%d,]*)$')
if not epoch or epoch .. ' ' .. run ~= ARGV[5] then
  return redis.error_reply('EPOCH the store may have forgotten something')
end

local number = tonumber(ARGV[1])
local last = redis.call('GET', KEYS[1])
if last then
  local known, answer = string.match(last, '^(%d+) (.*)$')
  known = tonumber(known)
  if known == number then
    redis.call('EXPIRE', KEYS[1], ARGV[3]) -- a write, so that WAIT waits for what was done the first time
    return answer
  end
  if known > number then return redis.error_reply('SUPERSEDED a later call of this process has been answered') end
end

local clock = redis.call('TIME')
local real = tonumber(clock[1])
local now = math.max(real * 1000000 + tonumber(clock[2]), tonumber(ARGV[2]))
if now < tonumber(opens) then return redis.error_reply('FENCED the store waits for what processes remember') end

local function read(key)
  local counter = {key = key, spent = 0, held = 0, topped = 0, epoch = '0', version = 0, raised = '', base = '', more = ''}
  local packed = redis.call('GET', key)
  if packed then
    local spent, held, topped, since, version, raised, base =
      string.match(packed, '^(%d+) (%d+) (%d+) (%d+) (%d+) ([%d,]*)(.*)$')
    if not spent then return nil end
    counter.spent, counter.held, counter.topped = tonumber(spent), tonumber(held), tonumber(topped)
    counter.epoch, counter.version, counter.raised = since, tonumber(version), raised
    counter.base, counter.more = string.match(base, '^([%d ]-)( ?%+.*)$')
    counter.base, counter.more = counter.base or base, counter.more or ''
  end
  return counter
end

local function is_raised(counter, bin)
  return string.find(',' .. counter.raised .. ',', ',' .. bin .. ',', 1, true) ~= nil
end

local at = 9
local function argument()
  at = at + 1
  return ARGV[at]
end

local counters, rows = {}, {}
for i = 1, tonumber(ARGV[9]) do
  local key = KEYS[i + 1]
  local counter = counters[key] or read(key)
  if not counter then return redis.error_reply('CORRUPT ' .. key .. ' is not a counter') end
  if not counters[key] then
    counters[key] = counter
    counter.was = {spent = counter.spent, held = counter.held, raised = counter.raised}
  end
  local row = {counter = counter, value = tonumber(argument()), direct = 0, ahead = 0}
  local starts, ends = tonumber(argument()), tonumber(argument()) or math.huge
  row.open = starts <= now and now < ends
  counter.drop = argument()
  local used, apart = tonumber(argument()), tonumber(argument())
  local beside, back = tonumber(argument()), tonumber(argument())
  row.want = tonumber(argument())
  row.bins, row.about = argument(), argument()
  row.reported = used ~= 0 or apart + beside > 0
  counter.spent = math.max(0, math.min(LARGEST, counter.spent + used + apart + beside))
  counter.topped = counter.topped + beside
  counter.held = math.max(0, counter.held - used - back)
  rows[i] = row
end

local function room(row)
  return row.open and row.value + row.counter.topped - row.counter.spent - row.counter.held or 0
end

local function fits(lines, wanted)
  for _, line in ipairs(lines) do
    local left = room(line.row)
    if not line.row.open or left < 0 then return 0 end
    if line.cost > 0 then
      wanted = math.min(wanted, math.floor(left / line.cost))
      if wanted * line.cost > left then wanted = wanted - 1 end -- a quotient near 2^53 may be rounded up
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
  local granted = fits(lines, math.abs(wanted))
  for _, line in ipairs(lines) do
    local row, units = line.row, granted * line.cost
    if wanted < 0 then
      row.ahead, row.counter.held = row.ahead + units, row.counter.held + units
    else
      row.direct, row.counter.spent = row.direct + units, row.counter.spent + units
    end
  end
  grants[i] = string.format('%.0f', granted)
end

local processes = math.max(1, tonumber(ARGV[7]))
for _, row in ipairs(rows) do
  local more = math.max(0, math.min(row.want, math.floor(room(row) / (2 * processes))))
  row.ahead, row.counter.held = row.ahead + more, row.counter.held + more
end

local crossings = {}
for _, row in ipairs(rows) do
  local counter = row.counter
  if row.open or row.reported then
    for bin, units in string.gmatch(row.bins, '(%d+)=(%d+)') do
      if counter.spent >= tonumber(units) and not is_raised(counter, bin) then
        counter.raised = counter.raised == '' and bin or counter.raised .. ',' .. bin
        crossings[#crossings + 1] = string.format(
          '%s%s", "bin": %s, "spent": %.0f, "raised_at": %.6f}', row.about, bin, bin, counter.spent, now / 1000000)
      end
    end
  end
end

-- A counter's epochs and versions are compared as numbers, written as they are.
local function rise(counter)
  if tonumber(counter.epoch) < tonumber(epoch) then
    local is_intact = string.find(',' .. intact, ',' .. counter.epoch .. ',', 1, true)
    if counter.version > 0 and not is_intact then
      counter.base = string.format(' %s %.0f %.0f %.0f', counter.epoch, counter.version, counter.was.spent, counter.was.held)
    end
    counter.epoch = epoch
  end
  counter.version = counter.version + 1
end

for _, alert in ipairs(crossings) do
  redis.call('XADD', ARGV[6], 'MAXLEN', '~', SOME, '*', 'alert', alert)
end
for key, counter in pairs(counters) do
  local was = counter.was
  if counter.spent ~= was.spent or counter.held ~= was.held or counter.raised ~= was.raised then
    rise(counter)
    local packed = string.format('%.0f %.0f %.0f %s %.0f %s%s%s', counter.spent, counter.held, counter.topped,
      counter.epoch, counter.version, counter.raised, counter.base, counter.more)
    if counter.drop == '' then
      redis.call('SET', key, packed)
    elseif tonumber(counter.drop) > real then
      redis.call('SET', key, packed, 'EXAT', counter.drop)
    end
  end
end

local states = {}
for i, row in ipairs(rows) do
  local counter = row.counter
  states[i] = row.open and string.format('%.0f,%.0f,%.0f,%s,%.0f,%.0f,%.0f,%s', counter.spent, counter.held, counter.topped,
    counter.epoch, counter.version, row.direct, row.ahead, (string.gsub(counter.raised, ',', '.'))) or '-'
end
local inherited = ARGV[8] == '1' and last or ''
local answer = string.format('%.0f;%s;%s;%s', now, table.concat(states, '|'), table.concat(grants, ','), inherited)
redis.call('SET', KEYS[1], ARGV[1] .. ' ' .. answer, 'EX', ARGV[3])
return answer
