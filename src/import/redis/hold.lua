-- Moves the jobs ARGV from where workers take them into a hash that only an import knows, with the time they were due.
-- KEYS: the active list, the scheduled set, the hash; then what workers hold, if that is to be taken too.
local got = {}
for _, id in ipairs(ARGV) do
    local due = redis.call('zscore', KEYS[2], id)
    local taken = redis.call('zrem', KEYS[2], id) + redis.call('lrem', KEYS[1], 0, id)
    for i = 4, #KEYS do
        taken = taken + redis.call('srem', KEYS[i], id)
    end
    if taken > 0 then
        redis.call('hset', KEYS[3], id, due or '0')
    end
    if redis.call('hexists', KEYS[3], id) == 1 then
        got[#got + 1] = id
    end
end
return got
