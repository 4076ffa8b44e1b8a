"""A run tells of itself alone, also where the store holds results of earlier runs of the same cameras."""

from __future__ import annotations

import time

from agegender.commands.run.view import RunResults
from agegender.shared.messages.pipeline import Result
from tests.support.made_messages import face_info, frame_info, result, stream_at
from tests.support.sink import opened_sink


def of_stream(began_s: float, sequence: int) -> Result:
    return result(face_info(frame_info("demo", stream_at(began_s), sequence, began_s + sequence)))


def test_results_of_an_earlier_run_are_left_out(redis_database: str) -> None:
    began_s = time.time()
    with opened_sink(redis_database) as sink:
        sink.output.write([of_stream(began_s - 3_600, number) for number in range(20)])
        run = RunResults(sink.store, began_s)
        assert run.newest("demo", 100) == []
        sink.output.write([of_stream(began_s, number) for number in range(3)])
        found = run.newest("demo", 100)
        assert [one.result.face.frame.sequence for one in found] == [0, 1, 2]
        assert max(one.delay_s for one in found) < 60
