"""The plan's arithmetic: each figure against one worked out by hand, and what must hold for all plans."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from agegender.commands.plan.check import check_plan
from agegender.commands.plan.constants import Constants
from agegender.commands.plan.demand import Demand, rates, sent_wh, votes_of
from agegender.commands.plan.placing import busiest, evenly
from agegender.commands.plan.plan import MOST_PARTITIONS, Plan, make_plan
from agegender.commands.plan.simulation import Scenario, play, ranges
from agegender.commands.plan.workers import BUSY_AT_MOST, partitions_for
from agegender.shared.errors import SettingsError
from agegender.shared.process.settings import KafkaSettings


@pytest.fixture(scope="module")
def constants() -> Constants:
    return Constants.load()


@pytest.fixture(scope="module")
def small(constants: Constants) -> Plan:
    return make_plan(Demand(10), constants)


@pytest.fixture(scope="module")
def middle(constants: Constants) -> Plan:
    return make_plan(Demand(200), constants)


def test_persons_come_as_often_as_littles_law_says() -> None:
    found = rates(Demand(10, faces=2, stay_s=20, busy_hours=10))
    assert found.arrivals == pytest.approx(1.0)
    assert found.visits_per_camera_day == pytest.approx(3600)
    assert found.frames == 50


def test_a_person_is_classified_a_few_times_in_any_video() -> None:
    assert votes_of(0.3, 5) == 0
    assert votes_of(3.0, 5) == 3
    assert votes_of(20, 5) == votes_of(20, 25) == 8
    assert votes_of(3600, 5) == votes_of(7200, 5) <= 16


def test_classify_has_to_do_with_persons_and_not_with_frames() -> None:
    slow, fast = (rates(Demand(100, fps=fps, stream_fps=30)) for fps in (5, 25))
    assert slow.classified == fast.classified
    assert fast.frames == 5 * slow.frames


def test_frames_are_shrunk_before_they_are_sent() -> None:
    assert sent_wh((3840, 2160)) == (1280, 720)
    assert sent_wh((640, 360)) == (640, 360)


def test_the_busiest_worker_is_planned_for_19_of_20_cases() -> None:
    placed = np.random.default_rng(3).multinomial(200, [1 / 20] * 20, size=4000).max(axis=1)
    most = busiest(200, 20)
    assert np.mean(placed <= most) >= 0.95
    assert np.mean(placed <= most - 1) < 0.95


def test_one_worker_has_everything_and_no_worker_is_refused() -> None:
    assert busiest(7, 1) == 7
    assert busiest(0, 3) == 0
    with pytest.raises(ValueError, match="1 worker or more"):
        busiest(7, 0)


def test_after_a_death_a_worker_gets_whole_partitions_more() -> None:
    assert busiest(1_000, 3, partitions=16) > busiest(1_000, 3)


def test_partitions_that_do_not_come_out_even_leave_workers_idle() -> None:
    assert evenly(24, 8) == 1.0
    assert evenly(12, 8) == 0.75
    assert ranges(12, 8).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 8, 24, 70])
def test_every_worker_gets_as_many_partitions_and_at_least_four(workers: int) -> None:
    partitions = partitions_for(workers)
    assert evenly(partitions, workers) == 1.0
    assert partitions >= max(4 * workers, KafkaSettings().partitions)


def test_the_cores_of_detect_follow_cameras_frames_and_cost(small: Plan, constants: Constants) -> None:
    kafka, detect = constants.kafka, constants.detect
    frame_ms = kafka.frame.read_ms + detect.frame_ms + 2 * detect.face_ms
    sent_ms = (
        small.rates.classified * kafka.face.write_ms + small.rates.track_updates * kafka.track_update.write_ms
    )
    assert small.workers["detect"].load_cores == pytest.approx((50 * frame_ms + sent_ms) / 1000)


def test_the_broker_holds_all_copies_until_kafka_deletes_them(small: Plan, constants: Constants) -> None:
    frames = small.topics[0]
    assert frames.in_mb_s == pytest.approx(50 * constants.kafka.frame.size_bytes / 1e6)
    assert frames.disk_gb == pytest.approx(frames.in_mb_s * 600 * 1.8 * 3 / 1000)
    assert small.broker.in_mb_s == pytest.approx(3 * sum(one.in_mb_s for one in small.topics))


def test_redis_keeps_the_visits_that_the_sink_keeps(constants: Constants) -> None:
    short = make_plan(Demand(10), constants).redis
    long = make_plan(Demand(10, kept_days=7), constants).redis
    assert not short.cut_off
    assert long.cut_off
    assert long.visits_kept == 10 * 10_000


@pytest.mark.parametrize("cameras", [1, 2, 10, 200, 1_000, 5_000, 100_000])
@pytest.mark.parametrize("gpu", [False, True])
def test_no_worker_of_any_plan_is_given_more_than_it_can_do(
    cameras: int, gpu: bool, constants: Constants
) -> None:
    plan = make_plan(Demand(cameras, gpu=gpu), constants)
    for one in plan.workers.values():
        assert one.busiest <= BUSY_AT_MOST
        assert one.cores >= one.load_cores
    assert all(one.partitions <= MOST_PARTITIONS for one in plan.topics)
    assert plan.systems * plan.cameras_each >= cameras
    assert sum(plan.drivers.values()) == pytest.approx(1)


def test_more_of_anything_never_needs_fewer_cores(constants: Constants) -> None:
    usual = Demand(200)
    for change in (
        {"cameras": 400},
        {"fps": 10.0},
        {"faces": 8.0},
        {"stream_wh": (1920, 1080)},
        {"headroom": 2.0},
    ):
        more = dataclasses.replace(usual, **change)
        assert make_plan(more, constants).cores >= make_plan(usual, constants).cores


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"cameras": 0}, "--cameras"),
        ({"stay_s": 0.0}, "--stay"),
        ({"fps": 30.0}, "--stream-fps"),
        ({"headroom": 0.5}, "--headroom"),
    ],
)
def test_what_cannot_be_is_named(change: dict[str, float], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Demand(**{"cameras": 10, **change})  # type: ignore[arg-type]


def test_a_file_that_holds_no_constants_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot read"):
        Constants.load(tmp_path / "none.json")
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(SettingsError, match="holds no constants"):
        Constants.load(other)


def test_a_plan_holds_when_it_is_played_through(middle: Plan, constants: Constants) -> None:
    checks = check_plan(middle, constants)
    assert [one.holds for one in checks] == [True, True, True]
    death = checks[-1]
    # What the dead worker had waits until the group has noticed, and then comes.
    assert death.worst_s > KafkaSettings().session_timeout_s
    assert 0 < death.late_for_s < 60


def test_with_too_many_cameras_the_delay_keeps_growing(small: Plan, constants: Constants) -> None:
    short, long = (play(small, constants, Scenario(seconds, load=3.0)) for seconds in (20.0, 40.0))
    assert short.overloaded > 0
    assert long.percentile(0.99) > 1.5 * short.percentile(0.99) > 3


def test_every_frame_of_a_dead_worker_is_done_in_the_end(small: Plan, constants: Constants) -> None:
    usual = play(small, constants, Scenario(40.0))
    death = play(small, constants, Scenario(40.0, detect_dies_s=10.0))
    assert len(death.delay_s) == len(usual.delay_s)
    assert np.isfinite(death.delay_s).all()


def test_a_plan_that_ignores_chance_would_not_hold(middle: Plan, constants: Constants) -> None:
    detect = dataclasses.replace(middle.workers["detect"], workers=48, cores_each=1)
    topics = [
        dataclasses.replace(one, partitions=192) if one.name == "frames" else one for one in middle.topics
    ]
    naive = dataclasses.replace(middle, workers={**middle.workers, "detect": detect}, topics=topics)
    # 48 cores for 31 cores of work, and some workers drown all the same.
    assert play(naive, constants, Scenario(20.0)).overloaded > 0
