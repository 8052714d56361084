-- Replaces a record that is as the caller knows it.
--
-- KEYS[1]  the record
--
-- ARGV[1]  what it is; ARGV[2] what it becomes; ARGV[3] for how many milliseconds
--
-- Answers 1 if that was done.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
