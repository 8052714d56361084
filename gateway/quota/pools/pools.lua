-- Keeps the pools of one scope: permits, of which so many may be out at once, and buckets of tokens that fill with time.
--
-- A process says each time what it keeps in all, so that a call may be lost, be late, or come twice. What it holds is
-- free again when it has not been heard of for a while; tokens are gone then. Never are there more permits out than the
-- limit's value, nor more tokens, in the bucket and with processes, than the burst.
--
-- KEYS[i]  the pool of row i: "LEVEL AT HUNGRY UNTIL" and for each process that holds some "|PROCESS NUMBER UNITS NEW ENDS".
--          LEVEL are the tokens in the bucket at the time AT (0 for permits); HUNGRY is who got less than it needed lately;
--          NUMBER the process's last call, and what it gave it. Times in microseconds.
--
-- ARGV[1]  the call's number
-- ARGV[2]  the latest store time that the caller saw, in microseconds
-- ARGV[3]  the process
-- ARGV[4]  the key of the epoch's record (see fence.lua), on this server
-- ARGV[5]  the epoch, and the run of the server, as the caller knows them: "EPOCH RUN"
-- ARGV[6]  how many processes there are
-- ARGV[7]  microseconds for which units are held
-- ARGV[8…] for each row: most        permits that may be out, or the burst
--                        per         microseconds in which a token comes; "" for permits
--                        keep        units that the process goes on holding
--                        back        tokens that it returns; permits that it does not keep are returned by that
--                        need        units that waiting requests need
--                        ahead       units beyond those, if there are enough
--
-- Answers "NOW;ROW|ROW…". A row is "LEFT,NEW,ENDS,HUNGRY": thousandths of what is left beside; units granted; until when
-- the process holds what it does; 1 if another one got less than it needed, or soon may. While the store is fenced it grants nothing.
--
-- A pool that is not there has all permits. A bucket that is not there has been filling since the epoch began.

local HUNGRY_FOR = 1000000 -- microseconds

local record = redis.call('GET', ARGV[4]) or ''
local epoch, run, opens = string.match(record, '^(%d+) (%S+) (%d+) ')
if not epoch or epoch .. ' ' .. run ~= ARGV[5] then
  return redis.error_reply('EPOCH the store may have forgotten something')
end
local clock = redis.call('TIME')
local now = math.max(tonumber(clock[1]) * 1000000 + tonumber(clock[2]), tonumber(ARGV[2]))
opens = tonumber(opens)
local number, me, processes, life = ARGV[1], ARGV[3], math.max(1, tonumber(ARGV[6])), tonumber(ARGV[7])

local function read(key)
  local pool = {at = now, hungry = '-', till = 0, holders = {}, others = 0, own = nil}
  local packed = redis.call('GET', key)
  if not packed then return pool end
  local level, at, hungry, till, rest = string.match(packed, '^(%S+) (%d+) (%S+) (%d+)(.*)$')
  if not level then return nil end
  pool.level, pool.at, pool.hungry, pool.till = tonumber(level), tonumber(at), hungry, tonumber(till)
  for process, last, units, new, ends in string.gmatch(rest, '|(%S+) (%d+) (%d+) (%d+) (%d+)') do
    local holder = {process = process, last = last, units = tonumber(units), new = tonumber(new), ends = tonumber(ends)}
    if process == me and holder.ends > now then
      pool.own = holder
    elseif holder.ends > now then
      pool.others = pool.others + holder.units
      pool.holders[#pool.holders + 1] = holder
    end
  end
  return pool
end

local function refill(pool, most, per)
  local held = pool.others + (pool.own and pool.own.units or 0)
  local level = pool.level and pool.level + math.max(0, now - pool.at) / per or math.max(0, now - opens) / per
  pool.level, pool.at = math.min(math.max(0, most - held), level), math.max(now, pool.at)
end

local function grant(pool, most, is_bucket, keep, back, need, ahead)
  if is_bucket and pool.own then
    pool.level = pool.level + math.max(0, math.min(back, pool.own.units - keep))
  end
  local room = is_bucket and math.floor(pool.level) or most - pool.others - keep
  if now < opens then room = 0 end
  local new = math.max(0, math.min(need, room))
  if new < need then pool.hungry, pool.till = me, now + HUNGRY_FOR end
  new = new + math.max(0, math.min(ahead, math.floor((room - new) / (2 * processes))))
  pool.level = is_bucket and pool.level - new or 0
  pool.own = {process = me, last = number, units = keep + new, new = new, ends = now + life}
end

local function pack(pool)
  local parts = {string.format('%.6f %.0f %s %.0f', pool.level, pool.at, pool.hungry, pool.till)}
  pool.holders[#pool.holders + 1] = pool.own
  for _, holder in ipairs(pool.holders) do
    if holder.units > 0 then
      parts[#parts + 1] = string.format('%s %s %.0f %.0f %.0f', holder.process, holder.last, holder.units, holder.new, holder.ends)
    end
  end
  return table.concat(parts, '|')
end

local pools, states = {}, {}
for i, key in ipairs(KEYS) do
  local pool = read(key)
  if not pool then return redis.error_reply('CORRUPT ' .. key .. ' is not a pool') end
  local first = 8 + (i - 1) * 6
  local most, per = tonumber(ARGV[first]), tonumber(ARGV[first + 1])
  if per then refill(pool, most, per) else pool.level = 0 end
  if not pool.own or pool.own.last ~= number then
    local keep, back, need = tonumber(ARGV[first + 2]), tonumber(ARGV[first + 3]), tonumber(ARGV[first + 4])
    grant(pool, most, per ~= nil, keep, back, need, tonumber(ARGV[first + 5]))
  end
  local left = per and pool.level or most - pool.others - pool.own.units
  local is_scarce = not per and processes > 1 and left <= processes -- others may soon need what is in hand here
  local hungry = (is_scarce or (pool.till > now and pool.hungry ~= me)) and 1 or 0
  states[i] = string.format('%.0f,%.0f,%.0f,%d', math.floor(left * 1000), pool.own.new, pool.own.ends, hungry)
  pool.full = per and math.max(0, most - pool.level) * per or 0 -- microseconds until it need not be remembered
  pools[i] = pool
end
for i, key in ipairs(KEYS) do
  redis.call('SET', key, pack(pools[i]), 'EX', string.format('%.0f', math.ceil((pools[i].full + life) / 1000000) + 1))
end
return string.format('%.0f;%s', now, table.concat(states, '|'))
