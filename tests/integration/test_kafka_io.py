"""What only a real broker shows: outages, shared work, topics and their settings."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, MemberToRemove

from shared.codec import MAX_MESSAGE_BYTES, Encoded
from shared.dead_letters import DeadLetter
from shared.errors import NotNow, SettingsError
from shared.kafka_io import KafkaDeadLetters, KafkaOutput, KafkaSource
from shared.messages import Frame
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTERS_NAME, FRAMES
from shared.transport import Delivery, Source
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.kafka_broker import KafkaBroker, launch_broker
from tests.support.made_messages import frame
from tests.support.pipeline import read_topic
from tests.support.waiting import wait_until

E = TypeVar("E", KafkaSource[Frame], KafkaOutput[Frame], KafkaDeadLetters)
Admin = Any  # kafka-python has no types

MOST_S = 6.0
"""No single call may keep a service from seeing that it should stop for longer."""
CAMERAS = tuple(f"cam{number}" for number in range(12))


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=4, session_timeout_s=6
    )


@pytest.fixture(scope="module")
def own_broker() -> Iterator[KafkaBroker]:
    """For the outages of this file, one after the other: each `outage` ends by itself."""
    try:
        broker = launch_broker(must_restart=True)
    except ServerUnavailableError as error:
        skip_or_fail(error)
    yield broker
    broker.close()


@pytest.fixture
def own_settings(own_broker: KafkaBroker, random_suffix: str) -> Iterator[KafkaSettings]:
    yield KafkaSettings(
        bootstrap_servers=own_broker.bootstrap_servers,
        topic_prefix=f"{random_suffix}-",
        partitions=2,
        session_timeout_s=6,
    )
    # The client leaves sockets to the garbage collector; it comes while their warnings are ignored.
    gc.collect()


@contextlib.contextmanager
def outage(broker: KafkaBroker, way: str) -> Iterator[None]:
    """The broker is killed or frozen, and back at the end of the block."""
    (broker.kill if way == "killed" else broker.freeze)()
    try:
        yield
    finally:
        (broker.start if way == "killed" else broker.thaw)()


@pytest.fixture
def admin(settings: KafkaSettings) -> Iterator[Any]:
    with KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as client:
        yield client


@contextlib.contextmanager
def opened(end: E) -> Iterator[E]:
    until_done(end.open)
    try:
        yield end
    finally:
        end.close()


def frames_output(settings: KafkaSettings) -> KafkaOutput[Frame]:
    return KafkaOutput(FRAMES, settings)


def frames_source(settings: KafkaSettings) -> KafkaSource[Frame]:
    return KafkaSource(FRAMES, "readers", settings)


def numbers(*wanted: int, cameras: tuple[str, ...] = ("cam1",)) -> list[Frame]:
    return [frame(camera, number) for number in wanted for camera in cameras]


def until_done(call: Callable[[], None], timeout_s: float = 30) -> None:
    """Makes the call again and again while it raises NotNow, as the runner does."""

    def done() -> bool:
        try:
            call()
        except NotNow:
            return False
        return True

    wait_until(done, timeout_s, "the call returns")


def refused(call: Callable[[], object]) -> str:
    """The reason of the NotNow that the call raises in time."""
    started_s = time.monotonic()
    with pytest.raises(NotNow) as raised:
        call()
    assert time.monotonic() - started_s < MOST_S
    return str(raised.value)


def frames_of(deliveries: Sequence[Delivery[Frame]]) -> list[Frame]:
    return [one.message for one in deliveries if isinstance(one.message, Frame)]


def some(source: Source[Frame], at_least: int = 1, max_messages: int = 500) -> list[Frame]:
    """Polls until at least so many frames are handed out."""
    found: list[Frame] = []

    def enough() -> bool:
        found.extend(frames_of(source.poll(max_messages, 0.2)))
        return len(found) >= at_least

    wait_until(enough, 20, f"{at_least} frames are handed out")
    return found


def stored(settings: KafkaSettings) -> list[Frame]:
    """All frames in the topic, in order per camera."""
    return [
        FRAMES.codec.decode(one)
        for one in read_topic(settings.bootstrap_servers, settings.topic_prefix + FRAMES.name)
    ]


def by_camera(frames: list[Frame]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for one in frames:
        found[one.camera_id].append(one.info.sequence)
    return dict(found)


def threads_of_the_client() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if "kafka" in name or "agegender" in name]


def configs(admin: Admin, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    described = admin.describe_configs([resource], config_filter="all")
    (found,) = described["topic"].values()
    return {name: str(entry["value"]) for name, entry in found.items()}


class TestTopics:
    def test_a_topic_keeps_pictures_for_its_time_by_the_clock_of_the_broker(
        self, settings: KafkaSettings, admin: Admin
    ) -> None:
        name = f"{settings.topic_prefix}frames"
        with opened(frames_output(settings)):
            (topic,) = admin.describe_topics([name])
            found = configs(admin, name)
        assert len(topic["partitions"]) == 4
        assert found["cleanup.policy"] == "delete"
        assert found["retention.ms"] == str(10 * 60 * 1000)
        # Kafka deletes whole segments: one must be closed well before the pictures in it are due.
        assert int(found["segment.ms"]) <= int(found["retention.ms"]) / 4
        assert found["message.timestamp.type"] == "LogAppendTime"
        assert int(found["max.message.bytes"]) > MAX_MESSAGE_BYTES

    def test_many_workers_that_start_at_once_create_a_topic_once(self, settings: KafkaSettings) -> None:
        def work(number: int) -> None:
            with opened(frames_output(settings)) as output:
                output.write([frame(f"cam{number}")])

        with ThreadPoolExecutor(8) as workers:
            list(workers.map(work, range(8)))
        assert len(stored(settings)) == 8

    def test_a_topic_that_exists_is_left_as_it_is(self, settings: KafkaSettings, admin: Admin) -> None:
        name = f"{settings.topic_prefix}frames"
        theirs = {"num_partitions": 1, "configs": {"retention.ms": "1234567"}}
        admin.create_topics({name: theirs}, wait_for_metadata=True)
        with opened(frames_output(settings)) as output:
            output.write(numbers(0, cameras=CAMERAS))
        (topic,) = admin.describe_topics([name])
        assert len(topic["partitions"]) == 1
        assert configs(admin, name)["retention.ms"] == "1234567"

    def test_a_topic_of_others_for_small_messages_is_a_mistake_of_the_settings(
        self, settings: KafkaSettings, admin: Admin
    ) -> None:
        name = f"{settings.topic_prefix}frames"
        admin.create_topics({name: {"configs": {"max.message.bytes": "50000"}}}, wait_for_metadata=True)
        with (
            opened(frames_output(settings)) as output,
            pytest.raises(SettingsError, match=r"frames'.* raise the topic's max\.message\.bytes to 2"),
        ):
            output.write([frame(jpeg=bytes(100_000))])

    def test_a_topic_that_was_deleted_comes_again(self, settings: KafkaSettings, admin: Admin) -> None:
        with opened(frames_output(settings)) as output:
            output.write(numbers(0))
            admin.delete_topics([f"{settings.topic_prefix}frames"])
            output._drop_producer()  # its memory of the topic would last for minutes
            until_done(lambda: output.write(numbers(1)))
            with opened(frames_source(settings)) as source:
                assert by_camera(some(source)) == {"cam1": [1]}


class TestSharedWork:
    def test_two_members_share_the_partitions_and_nothing_is_done_twice(
        self, settings: KafkaSettings
    ) -> None:
        def work(source: KafkaSource[Frame], enough: threading.Event) -> list[Frame]:
            found: list[Frame] = []
            while not enough.is_set():
                new = frames_of(source.poll(50, 0.2))
                if new:
                    until_done(source.commit)
                found += new
            return found

        enough = threading.Event()
        with (
            opened(frames_output(settings)) as output,
            opened(frames_source(settings)) as first,
            opened(frames_source(settings)) as second,
            ThreadPoolExecutor(2) as workers,
        ):
            work_of = [workers.submit(work, source, enough) for source in (first, second)]
            try:
                wait_until(
                    lambda: {len(held(one)) for one in (first, second)} == {2}, 20, "both hold partitions"
                )
                output.write(numbers(*range(20), cameras=CAMERAS))
                wait_until(lambda: lag(settings) == 0, 20, "all is committed")
            finally:
                enough.set()
            found = [future.result() for future in work_of]
        assert all(found)
        assert not {one.camera_id for one in found[0]} & {one.camera_id for one in found[1]}
        assert by_camera(found[0] + found[1]) == {camera: list(range(20)) for camera in CAMERAS}

    def test_what_a_leaving_member_did_not_commit_goes_to_the_other(self, settings: KafkaSettings) -> None:
        with opened(frames_output(settings)) as output, opened(frames_source(settings)) as leaving:
            output.write(numbers(0, 1, 2, cameras=CAMERAS))
            done = some(leaving, at_least=10, max_messages=10)
            leaving.commit()
            some(leaving, at_least=10, max_messages=10)
            leaving.close()
            with opened(frames_source(settings)) as other:
                found = some(other, at_least=36 - len(done))
        assert by_camera(done + found) == {camera: [0, 1, 2] for camera in CAMERAS}

    def test_what_a_killed_member_had_in_hand_goes_to_the_other(self, settings: KafkaSettings) -> None:
        with opened(frames_output(settings)) as output:
            output.write(numbers(0, 1, cameras=CAMERAS))
        context = multiprocessing.get_context("spawn")
        has_some = context.Event()
        member = context.Process(target=hold_some, args=(settings, has_some))
        member.start()
        try:
            assert has_some.wait(30)
        finally:
            member.kill()
            member.join()
        with opened(frames_source(settings)) as other:
            assert by_camera(some(other, at_least=24)) == {camera: [0, 1] for camera in CAMERAS}

    def test_a_member_that_waits_with_work_in_hand_gives_up_partitions_and_loses_nothing(
        self, settings: KafkaSettings
    ) -> None:
        with (
            opened(frames_output(settings)) as output,
            opened(frames_source(settings)) as waiting,
            ThreadPoolExecutor(1) as worker,
        ):
            output.write(numbers(0, 1, cameras=CAMERAS))
            in_hand = some(waiting, at_least=24)
            with opened(frames_source(settings)) as other:
                first_of_theirs = worker.submit(some, other)
                wait_until(
                    lambda: keeps_alive_until(waiting, first_of_theirs.done()), 20, "the other has work"
                )
                theirs, ours = first_of_theirs.result(), list[Frame]()
                output.write(numbers(2, cameras=CAMERAS))

                def all_read() -> bool:
                    theirs.extend(frames_of(other.poll(50, 0.1)))
                    ours.extend(frames_of(waiting.poll(50, 0.1)))
                    return sum(one.info.sequence == 2 for one in theirs + ours) == len(CAMERAS)

                wait_until(all_read, 20, "the new frames are read")
                until_done(other.commit)
                until_done(waiting.commit)
                assert lag(settings) == 0, "nobody takes back what others have committed"
        moved = set(by_camera(theirs))
        kept = set(CAMERAS) - moved
        assert moved
        assert kept
        assert by_camera(in_hand) == {camera: [0, 1] for camera in CAMERAS}
        assert by_camera(theirs) == {camera: [0, 1, 2] for camera in moved}
        assert by_camera(ours) == {camera: [2] for camera in kept}

    def test_a_member_that_the_group_threw_out_comes_back_and_loses_nothing(
        self, settings: KafkaSettings, admin: Admin
    ) -> None:
        group = f"{settings.topic_prefix}readers"
        with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
            output.write(numbers(0, 1, 2, cameras=CAMERAS))
            first = some(source, at_least=5, max_messages=5)
            (description,) = admin.describe_groups([group]).values()
            (member,) = description["members"]
            admin.remove_group_members(group, [MemberToRemove(member_id=member["member_id"])])
            assert "shares out its partitions" in refused(source.commit)

            def commits() -> bool:
                source.keep_alive()
                with contextlib.suppress(NotNow):
                    source.commit()
                    return True
                return False

            wait_until(commits, 20, "the group has taken the member back")
            again = some(source, at_least=36)
        assert {one.info.frame_id for one in first} <= {one.info.frame_id for one in again}
        assert by_camera(again) == {camera: [0, 1, 2] for camera in CAMERAS}

    def test_added_partitions_are_taken_in_however_short_the_polls(
        self, settings: KafkaSettings, admin: Admin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(KafkaConsumer.DEFAULT_CONFIG, "metadata_max_age_ms", 300)
        with opened(frames_source(settings)) as source:

            def holds(partitions: int) -> bool:
                source.poll(1, 0.001)
                return len(held(source)) == partitions

            wait_until(lambda: holds(4), 20, "the partitions are assigned")
            admin.create_partitions({f"{settings.topic_prefix}frames": 5})
            wait_until(lambda: holds(5), 20, "the new partition is assigned")

    def test_what_a_wait_brings_is_handed_out_afterwards(self, settings: KafkaSettings) -> None:
        with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
            output.write(numbers(0, 1, cameras=CAMERAS))
            wait_until(lambda: keeps_alive_until(source, bool(held(source))), 20, "partitions are assigned")
            for _ in range(5):
                source.keep_alive()
            assert by_camera(some(source, at_least=24)) == {camera: [0, 1] for camera in CAMERAS}


def held(source: KafkaSource[Frame]) -> set[TopicPartition]:
    assert source._consumer is not None
    partitions: set[TopicPartition] = source._consumer.assignment()
    return partitions


def keeps_alive_until(source: Source[Frame], done: bool) -> bool:
    source.keep_alive()
    return done


def lag(settings: KafkaSettings) -> int:
    """How many frames the group has not committed."""
    group = f"{settings.topic_prefix}readers"
    with KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as client:
        offsets = client.list_group_offsets({group: None})[group]
    committed: int = sum(max(0, one.offset) for one in offsets.values())
    return len(stored(settings)) - committed


def hold_some(settings: KafkaSettings, has_some: Event) -> None:
    """In a process of its own: takes work, and keeps it in hand until it is killed."""
    with opened(frames_source(settings)) as source:
        some(source)
        has_some.set()
        while True:
            source.keep_alive()


class TestDeadLetters:
    LETTER = DeadLetter(
        "schema is missing", "detect", "frames/3@17", Encoded(b"cam1", b"not ours", (("trace", b"\xff"),))
    )

    def written(self, settings: KafkaSettings, *letters: DeadLetter) -> list[Encoded]:
        with opened(KafkaDeadLetters(settings)) as output:
            output.write(letters)
        return read_topic(settings.bootstrap_servers, settings.topic_prefix + DEAD_LETTERS_NAME)

    def test_a_letter_tells_why_by_whom_and_where_but_keeps_no_picture(self, settings: KafkaSettings) -> None:
        (letter,) = self.written(settings, self.LETTER)
        assert letter.key == b"cam1"
        assert letter.value == b""
        assert letter.headers == (
            ("dead-letter.reason", b"schema is missing"),
            ("dead-letter.service", b"detect"),
            ("dead-letter.origin", b"frames/3@17"),
            ("dead-letter.value-bytes", b"8"),
            ("trace", b"\xff"),
        )

    def test_a_letter_keeps_the_picture_when_told_to(self, settings: KafkaSettings) -> None:
        keeping = settings.model_copy(update={"dead_letter_pictures": True})
        (letter,) = self.written(keeping, self.LETTER)
        assert letter.value == b"not ours"

    @pytest.mark.parametrize(
        "raw",
        [
            Encoded(b"k" * 1_900_000, b"x" * 150_000, ()),
            Encoded(b"", b"", (("trace", b"x" * 2_000_000),)),
            Encoded(b"", b"", (("", b""),) * 500_000),
        ],
        ids=["key", "header", "headers"],
    )
    def test_a_letter_about_a_monster_is_written_without_it(
        self, settings: KafkaSettings, raw: Encoded
    ) -> None:
        keeping = settings.model_copy(update={"dead_letter_pictures": True})
        (letter,) = self.written(keeping, DeadLetter("too large", "detect", "frames/0@0", raw))
        assert letter.size_bytes < 1_000
        assert letter.headers[0] == ("dead-letter.reason", b"too large")


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
class TestOutages:
    def test_nothing_opens_while_the_broker_is_away_or_silent_and_nothing_is_left_behind(
        self, own_broker: KafkaBroker, own_settings: KafkaSettings
    ) -> None:
        source, output = frames_source(own_settings), frames_output(own_settings)
        with outage(own_broker, "frozen"):
            reasons = {refused(source.open)}
        with outage(own_broker, "killed"):
            reasons |= {refused(output.open)}
        assert reasons == {f"Kafka: no answer from {own_broker.bootstrap_servers}"}
        assert threads_of_the_client() == []
        for end in (source, output):
            until_done(end.open)
            end.close()

    @pytest.mark.parametrize("way", ["killed", "frozen"])
    def test_a_write_during_an_outage_is_there_once_and_in_order_afterwards(
        self, own_broker: KafkaBroker, own_settings: KafkaSettings, way: str
    ) -> None:
        with opened(frames_output(own_settings)) as output:
            output.write(numbers(0, 1, cameras=CAMERAS))
            batch = numbers(*range(2, 30), cameras=CAMERAS)
            with outage(own_broker, way):
                assert refused(lambda: output.write(batch)).startswith("Kafka: no answer from 127.0.0.1:")
                refused(lambda: output.write(batch))
            until_done(lambda: output.write(batch))
            output.write(numbers(30, cameras=CAMERAS))
        assert by_camera(stored(own_settings)) == {camera: list(range(31)) for camera in CAMERAS}

    def test_what_the_client_gave_up_on_is_sent_anew_in_its_order(
        self, own_broker: KafkaBroker, own_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(KafkaProducer.DEFAULT_CONFIG, "request_timeout_ms", 1_000)
        monkeypatch.setitem(KafkaProducer.DEFAULT_CONFIG, "delivery_timeout_ms", 1_500)
        with opened(frames_output(own_settings)) as output:
            output.write(numbers(0, cameras=CAMERAS))
            batch = numbers(*range(1, 30), cameras=CAMERAS)
            producer = output._producer

            def was_given_up() -> bool:
                refused(lambda: output.write(batch))
                return output._producer is not producer

            with outage(own_broker, "killed"):
                wait_until(was_given_up, 20, "the client gives up")
            until_done(lambda: output.write(batch))
        assert by_camera(stored(own_settings)) == {camera: list(range(30)) for camera in CAMERAS}

    def test_a_source_notices_the_silence_and_goes_on_where_it_was(
        self, own_broker: KafkaBroker, own_settings: KafkaSettings
    ) -> None:
        with (
            opened(frames_output(own_settings)) as output,
            opened(frames_source(own_settings)) as source,
        ):
            output.write(numbers(0, 1, 2))
            found = some(source, at_least=2, max_messages=2)

            def notices() -> bool:
                started_s = time.monotonic()
                try:
                    found.extend(frames_of(source.poll(2, 0.2)))
                except NotNow:
                    return True
                finally:
                    assert time.monotonic() - started_s < MOST_S
                return False

            with outage(own_broker, "killed"):
                wait_until(notices, 20, "the source notices")
                source.keep_alive()
                assert refused(source.commit) == f"Kafka: no answer from {own_broker.bootstrap_servers}"
            until_done(source.commit)
            until_done(lambda: output.write(numbers(3)))
            while len(found) < 4:
                until_done(lambda: found.extend(some(source)))
            assert by_camera(found) == {"cam1": [0, 1, 2, 3]}

    @pytest.mark.parametrize("way", ["killed", "frozen"])
    def test_closing_takes_seconds_in_every_state(
        self, own_broker: KafkaBroker, own_settings: KafkaSettings, way: str
    ) -> None:
        with (
            opened(frames_output(own_settings)) as output,
            opened(frames_source(own_settings)) as reading,
        ):
            output.write(numbers(0))
            some(reading)
            joining = frames_source(own_settings)
            joining.open()
            joining.poll(1, 0.5)
            with outage(own_broker, way):
                refused(lambda: output.write(numbers(1)))
                for end in (output, reading, joining):
                    started_s = time.monotonic()
                    end.close()
                    assert time.monotonic() - started_s < MOST_S, end
        wait_until(lambda: not threads_of_the_client(), 5, "the threads of the client end")


def test_two_systems_share_a_broker_by_their_prefixes(settings: KafkaSettings) -> None:
    other = settings.model_copy(update={"topic_prefix": f"other-{settings.topic_prefix}"})
    with opened(frames_output(settings)) as output, opened(KafkaOutput(FRAMES, other)) as their_output:
        output.write(numbers(0))
        their_output.write(numbers(1))
        with opened(frames_source(settings)) as source:
            assert Counter(one.info.sequence for one in some(source)) == {0: 1}
