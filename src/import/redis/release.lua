-- Gives the held jobs ARGV back: KEYS[1] is the hash, KEYS[2] the scheduled set, whose due ones workers take.
for _, id in ipairs(ARGV) do
    local due = redis.call('hget', KEYS[1], id)
    if due then
        redis.call('zadd', KEYS[2], due, id)
        redis.call('hdel', KEYS[1], id)
    end
end
