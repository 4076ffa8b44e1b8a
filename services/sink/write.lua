-- Writes what became of one camera, all or nothing, unless somebody else wrote it since it was read.
--
-- KEYS  state, visits, open, closed, results, seen, then the keys that the plan numbers
-- ARGV  the plan as JSON; then for each single face its id and its result as JSON
-- Returns nil where the version has moved on, and nothing is written;
-- else for each single face 1 when it was new and 0 when it was a repeat.
--
-- The keys of visits who are dropped are known only in here; they lie in the same slot as all others.

local state, visits, open, closed, results, seen = unpack(KEYS, 1, 6)
local plan = cjson.decode(ARGV[1])

local function write_counts()
  for _, count in ipairs(plan.counts) do
    local key = KEYS[count.key]
    if redis.call('HINCRBY', key, count.field, count.more) <= 0 then
      redis.call('HDEL', key, count.field)
    end
    redis.call('EXPIRE', key, count.kept_s)
  end
end

local function write_visits()
  for _, visit in ipairs(plan.visits) do
    redis.call('SET', KEYS[visit.key], visit.json, 'EX', visit.ttl_s)
    if visit.first_seen_s then
      redis.call('ZADD', visits, visit.first_seen_s, visit.id)
      if visit.closed then
        redis.call('ZREM', open, visit.id)
        redis.call('XADD', closed, 'MAXLEN', '~', plan.longest_closed, '*', 'visit', visit.json)
      else
        redis.call('ZADD', open, visit.heard_s, visit.id)
      end
    end
  end
  for _, id in ipairs(plan.gone) do
    redis.call('ZREM', open, id)
  end
end

local function write_results()
  local new = {}
  for i = 2, #ARGV, 2 do
    local is_new = redis.call('ZADD', seen, 'NX', plan.now_s, ARGV[i])
    new[#new + 1] = is_new
    if is_new == 1 then
      redis.call('XADD', results, 'MAXLEN', '~', plan.longest_results, '*', 'result', ARGV[i + 1])
    end
  end
  redis.call('ZREMRANGEBYRANK', seen, 0, -(plan.remembered + 1))
  return new
end

-- Closed visits above the bound are dropped, the oldest first. One who is open would be counted again.
local function drop_surplus()
  local surplus = redis.call('ZCARD', visits) - plan.most_visits
  if surplus <= 0 then
    return
  end
  for _, id in ipairs(redis.call('ZRANGE', visits, 0, surplus + redis.call('ZCARD', open) - 1)) do
    if surplus > 0 and not redis.call('ZSCORE', open, id) then
      redis.call('DEL', plan.visit_key .. id)
      redis.call('ZREM', visits, id)
      surplus = surplus - 1
    end
  end
end

-- Records expire one by one: their ids are taken from the ends of the list, faster than new ones come.
local function forget_expired()
  local some = 10 + #plan.visits
  for _, ends in ipairs({ { 0, some - 1 }, { -some, -1 } }) do
    for _, id in ipairs(redis.call('ZRANGE', visits, ends[1], ends[2])) do
      if redis.call('EXISTS', plan.visit_key .. id) == 0 then
        redis.call('ZREM', visits, id)
        redis.call('ZREM', open, id)
      end
    end
  end
end

if (redis.call('HGET', state, 'version') or '') ~= plan.version then
  return nil
end
redis.call('HINCRBY', state, 'version', 1)
if #plan.state > 0 then
  redis.call('HSET', state, unpack(plan.state))
end
write_counts()
write_visits()
local new = write_results()
drop_surplus()
forget_expired()
for i = 1, 6 do
  redis.call('EXPIRE', KEYS[i], plan.ttl_s)
end
return new
