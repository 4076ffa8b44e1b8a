-- Writes results of one camera, each at most once.
--
-- KEYS  latest (hash), results (stream), seen (zset)
-- ARGV  ttl in seconds, longest stream, how many face ids to remember, now in milliseconds,
--       then for each result: face id, stream id, sequence, captured at, faces in frame, index, JSON
-- Returns for each result 1 when it was new and 0 when it was a repeat.

local latest, results, seen = KEYS[1], KEYS[2], KEYS[3]
local ttl_s, longest, remember, now_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local new = {}

-- Streams are named by the time they began, so a later stream sorts after an earlier one.
local function is_before(stream_a, sequence_a, stream_b, sequence_b)
  if stream_a ~= stream_b then
    return stream_a < stream_b
  end
  return sequence_a < sequence_b
end

for i = 5, #ARGV, 7 do
  local face_id, stream, sequence = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local captured_at, faces_in_frame, index, json = ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], ARGV[i + 6]
  local is_new = redis.call('ZADD', seen, 'NX', now_ms, face_id)
  new[#new + 1] = is_new
  if is_new == 1 then
    redis.call('XADD', results, 'MAXLEN', '~', longest, '*', 'result', json)
    local held = redis.call('HMGET', latest, 'stream', 'sequence')
    local held_stream, held_sequence = held[1] or '', tonumber(held[2] or '-1')
    if is_before(held_stream, held_sequence, stream, sequence) then
      redis.call('DEL', latest)
      redis.call('HSET', latest, 'stream', stream, 'sequence', sequence,
        'captured_at_s', captured_at, 'faces_in_frame', faces_in_frame)
      held_stream, held_sequence = stream, sequence
    end
    if held_stream == stream and held_sequence == sequence then
      redis.call('HSET', latest, 'face:' .. index, json)
    end
  end
end

redis.call('ZREMRANGEBYRANK', seen, 0, -(remember + 1))
redis.call('EXPIRE', latest, ttl_s)
redis.call('EXPIRE', results, ttl_s)
redis.call('EXPIRE', seen, ttl_s)
return new
