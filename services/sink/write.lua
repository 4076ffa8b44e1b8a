-- Writes one camera as a whole or not at all. Refuses if another sink wrote it since it was read.
--
-- KEYS  state, visits, open, closed, results, seen; then the keys that the input refers to by number
-- ARGV  the input as JSON; then for each result the id of its face and its JSON
-- Returns nil if the version has changed; then nothing is written.
-- Otherwise returns for each result 1 if it was new and 0 if it was a repeat.
--
-- Keys of dropped visits are not in KEYS, because only the script knows them. They share the slot of the others.

local state, visits, open, closed, results, seen = unpack(KEYS, 1, 6)
local input = cjson.decode(ARGV[1])

local function write_counts()
  for _, count in ipairs(input.counts) do
    local key = KEYS[count.key]
    if redis.call('HINCRBY', key, count.field, count.difference) <= 0 then
      redis.call('HDEL', key, count.field)
    end
    redis.call('EXPIRE', key, count.kept_s)
  end
end

local function write_visits()
  for _, visit in ipairs(input.visits) do
    redis.call('SET', KEYS[visit.key], visit.json, 'EX', visit.ttl_s)
    if visit.first_seen_s then
      redis.call('ZADD', visits, visit.first_seen_s, visit.id)
      if visit.closed then
        redis.call('ZREM', open, visit.id)
        redis.call('XADD', closed, 'MAXLEN', '~', input.longest_closed, '*', 'visit', visit.json)
      else
        redis.call('ZADD', open, visit.heard_s, visit.id)
      end
    end
  end
  for _, id in ipairs(input.gone) do
    redis.call('ZREM', open, id)
  end
end

local function write_results()
  local new = {}
  for i = 2, #ARGV, 2 do
    local is_new = redis.call('ZADD', seen, 'NX', input.now_s, ARGV[i])
    new[#new + 1] = is_new
    if is_new == 1 then
      redis.call('XADD', results, 'MAXLEN', '~', input.longest_results, '*', 'result', ARGV[i + 1])
    end
  end
  redis.call('ZREMRANGEBYRANK', seen, 0, -(input.remembered + 1))
  return new
end

-- Drops closed visits above the limit, the oldest first. An open visit stays, or it would be counted again.
local function drop_surplus()
  local surplus = redis.call('ZCARD', visits) - input.most_visits
  if surplus <= 0 then
    return
  end
  for _, id in ipairs(redis.call('ZRANGE', visits, 0, surplus + redis.call('ZCARD', open) - 1)) do
    if surplus > 0 and not redis.call('ZSCORE', open, id) then
      redis.call('DEL', input.visit_key .. id)
      redis.call('ZREM', visits, id)
      surplus = surplus - 1
    end
  end
end

-- Visits expire one by one. This removes their ids from both ends of the list, faster than new ids arrive.
local function forget_expired()
  local some = 10 + #input.visits
  for _, ends in ipairs({ { 0, some - 1 }, { -some, -1 } }) do
    for _, id in ipairs(redis.call('ZRANGE', visits, ends[1], ends[2])) do
      if redis.call('EXISTS', input.visit_key .. id) == 0 then
        redis.call('ZREM', visits, id)
        redis.call('ZREM', open, id)
      end
    end
  end
end

if (redis.call('HGET', state, 'version') or '') ~= input.version then
  return nil
end
redis.call('HINCRBY', state, 'version', 1)
if #input.state > 0 then
  redis.call('HSET', state, unpack(input.state))
end
write_counts()
write_visits()
local new = write_results()
drop_surplus()
forget_expired()
for i = 1, 6 do
  redis.call('EXPIRE', KEYS[i], input.ttl_s)
end
return new
