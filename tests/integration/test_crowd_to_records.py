"""A clip of a crowd passes the pipeline: each visit is one record, counted once and closed once."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agegender.commands.run.pipeline import Pipeline, PipelineSettings
from agegender.services.ingest.config import IngestSettings
from agegender.services.sink.config import SinkSettings
from agegender.services.sink.redis_store import RedisStore
from agegender.shared.cameras.camera import Camera
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import ResultStore, connect
from agegender.simulator.content.crowd_clips import crowd_clips
from agegender.simulator.content.crowds import count_visits, crowd_frames, write_crowd
from agegender.simulator.content.heads import read_heads
from tests.support.faces import fetched_samples

PATIENCE_S = 2.0


@pytest.mark.timeout(180)
@pytest.mark.parametrize("redis_url", ["valkey"], indirect=True)
@pytest.mark.parametrize(("fps", "most_classified"), [(5, 0.4), (15, 0.15)])
def test_a_crowd_is_as_many_records_as_there_were_visits(
    redis_database: str, tmp_path: Path, fps: int, most_classified: float
) -> None:
    fetched_samples()
    heads = read_heads()
    (crowd,) = (one for one in crowd_clips() if one.name == "two pairs cross")
    visits = count_visits(((one.time_s, one.sights) for one in crowd_frames(crowd, heads)), PATIENCE_S)
    clip = tmp_path / "crowd.mp4"
    write_crowd(clip, crowd, heads)

    metrics = Metrics(CollectorRegistry())
    redis = RedisSettings().at(redis_database)
    settings = PipelineSettings(ingest=IngestSettings(fps=fps))
    output = RedisStore(connect(redis), SinkSettings(), metrics)
    Pipeline([Camera(id="door", source=str(clip))], settings, output, metrics).run(threading.Event())

    with connect(redis) as client:
        store = ResultStore(client)
        persons = store.visits(camera_ids=["door"]).items
        since_s = min(one.first_seen_s for one in persons)
        counts = store.counts(since_s=since_s, until_s=since_s + 86_400, by="minute")
        closed, _ = store.closed({}, camera_ids=["door"])
    assert len(persons) == visits
    assert all(one.closed == "left" for one in persons)
    assert sum(one.visits for one in counts) == visits
    assert sorted(one.track_id for one in closed) == sorted(one.track_id for one in persons)
    assert all(0 < one.dwell_s <= crowd.seconds for one in persons)
    # Each person was classified, from far fewer faces than were found.
    assert all(one.age_years is not None for one in persons)
    classified, seen = (
        sum(getattr(one, field) for one in persons) for field in ("faces_classified", "frames")
    )
    assert classified <= most_classified * seen
