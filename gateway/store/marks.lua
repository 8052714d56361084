-- Tells which marks have changed.
--
-- KEYS[1]  the marks, a hash: by "KIND NAME" "STAMP JSON"; and by "" "VERSION LIFE". The version rises with each change;
--          a life is the version with which this hash began.
-- KEYS[2]  their names in a sorted set, by the version at which they were written here
--
-- ARGV[1]  the version that the caller has, 0 for none
-- ARGV[2]  "1": the server may be another than it was: unless version and number are the caller's, it gets all
-- ARGV[3]  the number of marks that the caller was told of
--
-- Answers "VERSION LIFE", the number, "1" if all marks follow, then name and mark of each that the caller lacks.

local CHUNK = 1000 -- names in one command: Lua's stack is small

local head = redis.call('HGET', KEYS[1], '') or '0 0'
local version = tonumber(string.match(head, '^%d+'))
local number = redis.call('HLEN', KEYS[1])
local known, is_new = tonumber(ARGV[1]), ARGV[2] == '1'
local all = version < known or (is_new and (version ~= known or number ~= tonumber(ARGV[3])))
local answer = {head, number, all and 1 or 0}
if version == known and not all then return answer end

local names = redis.call('ZRANGEBYSCORE', KEYS[2], all and '-inf' or string.format('(%.0f', known), '+inf')
for first = 1, #names, CHUNK do
  local last = math.min(first + CHUNK - 1, #names)
  local marks = redis.call('HMGET', KEYS[1], unpack(names, first, last))
  for i = first, last do
    answer[#answer + 1] = names[i]
    answer[#answer + 1] = marks[i - first + 1]
  end
end
return answer
