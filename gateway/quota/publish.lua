-- Takes what a process remembers of a scope's counters from before the store forgot.
--
-- A counter after a loss is its base, the latest state that anyone remembers from before, and what was added since. So
-- a publication that comes late may raise the base and takes nothing away from what was added.
--
-- KEYS[i]  the counter of row i; see consume.lua
--
-- ARGV[1]  the key of the epoch's record
-- ARGV[2]  the epoch, and the run of the server, as the caller knows them: "EPOCH RUN"
-- ARGV[3]  the key of the outbox, a stream on this server
-- ARGV[4…]  for each row: epoch, version, spent, held, topped, raised, drop, and where an alert was raised so lately that
--          it may have been lost with the store: again, "BIN=UNITS BIN=UNITS…"; about, its JSON up to the bin within its id
--
-- Answers how many were news.

local SOME = '100000' -- alerts kept for delivery, about

local record = redis.call('GET', ARGV[1]) or ''
local epoch, run, _, intact = string.match(record, '^(%d+) (%S+) (%d+) ([%d,]*)$')
if not epoch or epoch .. ' ' .. run ~= ARGV[2] then
  return redis.error_reply('EPOCH the store may have forgotten something')
end
local real = tonumber(redis.call('TIME')[1])

local function is_here(since) -- nothing of that epoch is lost
  return since == epoch or string.find(',' .. intact, ',' .. since .. ',', 1, true) ~= nil
end

local function read(key)
  local packed = redis.call('GET', key)
  if not packed then return {spent = 0, held = 0, topped = 0, epoch = '0', version = 0, raised = ''}, '', '' end
  local spent, held, topped, since, version, raised, base =
    string.match(packed, '^(%d+) (%d+) (%d+) (%d+) (%d+) ([%d,]*)(.*)$')
  if not spent then return nil end
  local known, more = string.match(base, '^([%d ]-)( ?%+.*)$')
  return {spent = tonumber(spent), held = tonumber(held), topped = tonumber(topped), epoch = since,
    version = tonumber(version), raised = raised}, known or base, more or ''
end

local function base_of(counter, packed)
  if not is_here(counter.epoch) then -- untouched since the loss: it is the base itself
    return {epoch = tonumber(counter.epoch), version = counter.version, spent = counter.spent, held = counter.held}
  end
  local since, version, spent, held = string.match(packed, '^ (%d+) (%d+) (%d+) (%d+)$')
  if not since then return {epoch = 0, version = 0, spent = 0, held = 0} end
  return {epoch = tonumber(since), version = tonumber(version), spent = tonumber(spent), held = tonumber(held)}
end

local function union(one, other)
  for bin in string.gmatch(other, '%d+') do
    if not string.find(',' .. one .. ',', ',' .. bin .. ',', 1, true) then one = one == '' and bin or one .. ',' .. bin end
  end
  return one
end

local function is_raised(counter, bin)
  return string.find(',' .. counter.raised .. ',', ',' .. bin .. ',', 1, true) ~= nil
end

local function raise_again(counter, bins, about)
  for bin, units in string.gmatch(bins, '(%d+)=(%d+)') do
    if counter.spent >= tonumber(units) and not is_raised(counter, bin) then
      counter.raised = counter.raised == '' and bin or counter.raised .. ',' .. bin
      redis.call('XADD', ARGV[3], 'MAXLEN', '~', SOME, '*', 'alert', string.format(
        '%s%s", "bin": %s, "spent": %.0f, "raised_at": %.6f}', about, bin, bin, counter.spent, real))
    end
  end
end

local news = 0
for i, key in ipairs(KEYS) do
  local first = 4 + (i - 1) * 9
  local since, version, spent, held = ARGV[first], tonumber(ARGV[first + 1]), tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3])
  local topped, raised, drop = tonumber(ARGV[first + 4]), ARGV[first + 5], ARGV[first + 6]
  local counter, packed, more = read(key)
  if not counter then return redis.error_reply('CORRUPT ' .. key .. ' is not a counter') end
  local base = base_of(counter, packed)
  local later = tonumber(since) > base.epoch or (tonumber(since) == base.epoch and version > base.version)
  if later and not is_here(since) and (drop == '' or tonumber(drop) > real) then
    news = news + 1
    counter.spent = math.max(0, spent + counter.spent - base.spent) -- less than was added, if units were given back
    counter.held = math.max(0, held + counter.held - base.held)
    counter.topped = math.max(topped, counter.topped)
    counter.raised = union(counter.raised, raised)
    raise_again(counter, ARGV[first + 7], ARGV[first + 8])
    if is_here(counter.epoch) then
      counter.version = counter.version + 1
      packed = string.format(' %s %.0f %.0f %.0f', since, version, spent, held)
    else -- untouched since: it is the base itself
      counter.epoch, counter.version, packed = since, version, ''
    end
    local value = string.format('%.0f %.0f %.0f %s %.0f %s%s%s', counter.spent, counter.held, counter.topped, counter.epoch,
      counter.version, counter.raised, packed, more)
    if drop == '' then redis.call('SET', key, value) else redis.call('SET', key, value, 'EXAT', drop) end
  end
end
return news
