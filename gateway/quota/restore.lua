-- Puts counters of one scope back from a back-up: all of them, or none where one cannot be read.
--
-- A back-up is a memory of the counter. Where the store has it too, or a later one, the counter stays as it is. Where
-- that was lost, what was added since the loss comes on top, as with publish.lua: the memory becomes the counter's base.
-- So a second import adds nothing. Nothing is given back: a counter is never lower than before.
--
-- KEYS[i]  the counter of row i; see consume.lua. Each is there once.
--
-- ARGV[1]  the key of the epoch's record
-- ARGV[2]  the epoch, and the run of the server, as the caller knows them: "EPOCH RUN"
-- ARGV[3]  "1": `spent` and `topped` are set to the back-up's, also where that is lower
-- ARGV[4…] for each row: epoch, version, spent, topped, raised, drop
--
-- `held` stays: those units are in the hands of processes. Answers how many counters were changed.

local LARGEST = 9007199254740992 -- 2^53

local record = redis.call('GET', ARGV[1]) or ''
local epoch, run, opens, intact = string.match(record, '^(%d+) (%S+) (%d+) ([%d,]*)$')
if not epoch or epoch .. ' ' .. run ~= ARGV[2] then
  return redis.error_reply('EPOCH the store may have forgotten something')
end
local clock = redis.call('TIME')
local real = tonumber(clock[1])
if real * 1000000 + tonumber(clock[2]) < tonumber(opens) then
  return redis.error_reply('FENCED the store waits for what processes remember')
end
local replace = ARGV[3] == '1'

local function is_here(since) -- nothing of that epoch is lost
  return since == epoch or string.find(',' .. intact, ',' .. since .. ',', 1, true) ~= nil
end

local function read(key)
  local packed = redis.call('GET', key)
  if not packed then
    return {spent = 0, held = 0, topped = 0, epoch = '0', version = 0, raised = '', more = '', base = {epoch = 0, version = 0, spent = 0, held = 0}}
  end
  local spent, held, topped, since, version, raised, tail =
    string.match(packed, '^(%d+) (%d+) (%d+) (%d+) (%d+) ([%d,]*)(.*)$')
  if not spent then return nil end
  local counter = {spent = tonumber(spent), held = tonumber(held), topped = tonumber(topped), epoch = since,
    version = tonumber(version), raised = raised}
  local base, more = string.match(tail, '^([%d ]-)( ?%+.*)$')
  counter.more = more or ''
  local base_since, base_version, base_spent, base_held = string.match(base or tail, '^ (%d+) (%d+) (%d+) (%d+)$')
  if not is_here(since) then -- untouched since the loss: it is the base itself
    counter.base = {epoch = tonumber(since), version = counter.version, spent = counter.spent, held = counter.held}
  elseif base_since then
    counter.base = {epoch = tonumber(base_since), version = tonumber(base_version), spent = tonumber(base_spent),
      held = tonumber(base_held)}
  else
    counter.base = {epoch = 0, version = 0, spent = 0, held = 0}
  end
  return counter
end

local function union(one, other)
  for bin in string.gmatch(other, '%d+') do
    if not string.find(',' .. one .. ',', ',' .. bin .. ',', 1, true) then one = one == '' and bin or one .. ',' .. bin end
  end
  return one
end

local function merge(counter, saved)
  local base = counter.base
  local since = tonumber(saved.epoch)
  local of_here = is_here(saved.epoch)
  local becomes_base = not of_here and (since > base.epoch or (since == base.epoch and saved.version > base.version))
  local added = becomes_base and not replace and math.max(0, counter.spent - base.spent) or 0
  local is_known = of_here and counter.version >= saved.version
    or not of_here and since == base.epoch and base.version >= saved.version
  if replace then
    counter.spent, counter.topped = saved.spent, saved.topped
  elseif not is_known then
    counter.spent = math.min(LARGEST, math.max(counter.spent, saved.spent + added))
    counter.topped = math.max(counter.topped, saved.topped)
  end
  if becomes_base then
    counter.base = {epoch = since, version = saved.version, spent = counter.spent - added, held = base.held}
  end
  counter.raised = union(counter.raised, saved.raised)
end

local function packed(counter)
  local base = counter.base
  local tail = base.version > 0 and string.format(' %.0f %.0f %.0f %.0f', base.epoch, base.version, base.spent, base.held) or ''
  return string.format('%.0f %.0f %.0f %s %.0f %s%s%s', counter.spent, counter.held, counter.topped, epoch,
    counter.version + 1, counter.raised, tail, counter.more)
end

local writes = {}
for i, key in ipairs(KEYS) do
  local first = 4 + (i - 1) * 6
  local saved = {epoch = ARGV[first], version = tonumber(ARGV[first + 1]), spent = tonumber(ARGV[first + 2]),
    topped = tonumber(ARGV[first + 3]), raised = ARGV[first + 4], drop = ARGV[first + 5]}
  local counter = read(key)
  if not counter then return redis.error_reply('CORRUPT ' .. key .. ' is not a counter') end
  local spent, topped, raised = counter.spent, counter.topped, counter.raised
  merge(counter, saved)
  local is_changed = counter.spent ~= spent or counter.topped ~= topped or counter.raised ~= raised
  if is_changed and (saved.drop == '' or tonumber(saved.drop) > real) then
    writes[#writes + 1] = {key = key, value = packed(counter), drop = saved.drop}
  end
end

for _, write in ipairs(writes) do
  if write.drop == '' then
    redis.call('SET', write.key, write.value)
  else
    redis.call('SET', write.key, write.value, 'EXAT', write.drop)
  end
end
return #writes
