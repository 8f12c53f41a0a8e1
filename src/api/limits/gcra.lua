-- Charges one request to all buckets or to none; with ARGV[1] = -1, takes one charge back.
-- KEYS: the buckets. ARGV: 1 or -1, then of each bucket what a request adds and what it holds, in
-- microseconds. Answers whether it passes, then of each bucket how long until it is empty.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local charge = tonumber(ARGV[1])
local filled, passes = {}, 1
for i, key in ipairs(KEYS) do
    filled[i] = math.max(tonumber(redis.call('GET', key) or 0) - now, 0)
    if charge > 0 and filled[i] + ARGV[2 * i] > tonumber(ARGV[2 * i + 1]) then
        passes = 0
    end
end
for i, key in ipairs(KEYS) do
    if passes == 1 then
        filled[i] = filled[i] + charge * ARGV[2 * i]
        if filled[i] > 0 then
            redis.call('SET', key, string.format('%.0f', now + filled[i]), 'PX', math.ceil(filled[i] / 1000))
        else
            filled[i] = 0
            redis.call('DEL', key)
        end
    end
end
table.insert(filled, 1, passes)
return filled
