"""Real servers for tests. Nothing starts before a test asks for it."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import redis

from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.certificates import Authority
from tests.support.redis_server import SERVER_KINDS, RedisServer, find_redis_server, running_redis

# Not imported at run time here: without Kafka's client the tests that need none still run.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.support.kafka_broker import KafkaBroker


def pytest_configure(config: pytest.Config) -> None:
    """Let Kafka's client be used, and let no test fail for being slow on a busy machine.

    On Python 3.11 and 3.12 the client reads its own files in an old way. It leaves sockets to the garbage
    collector, which may come in any later test; `make soak` sees open files grow.
    """
    hypothesis.settings.register_profile("unhurried", deadline=None, max_examples=40)
    hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1_000)
    hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "unhurried"))
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(autouse=True)
def _logs_stay_as_they_were() -> Iterator[None]:
    """A command that a test calls here sets the levels of logs for the whole process."""
    loggers = [logging.getLogger(name) for name in (None, "kafka")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def random_suffix() -> str:
    """Eight characters that no other test has, for names on shared servers."""
    return uuid.uuid4().hex[:8]


@pytest.fixture
def topic_names(random_suffix: str) -> Callable[[str], str]:
    """Return `topic_names("frames")`: a name, the same at each call, for a topic or group of this test."""
    return lambda stem: f"{stem}-{random_suffix}"


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of a broker that all tests share: use names from `topic_names`, never stop it."""
    broker = _launch_broker(must_restart=False)
    yield broker.bootstrap_servers
    broker.close()


@pytest.fixture
def own_broker() -> Iterator[KafkaBroker]:
    """A running broker of this test alone, to be stopped, killed and frozen. Costs about three seconds."""
    broker = _launch_broker(must_restart=True)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def mortal_broker() -> Iterator[KafkaBroker]:
    """A broker for the outages of one file, one after the other: every test leaves it running."""
    broker = _launch_broker(must_restart=True)
    yield broker
    broker.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Issues certificates for the servers and workers of one file."""
    try:
        return Authority(tmp_path_factory.mktemp("certificates"))
    except ServerUnavailableError as error:
        skip_or_fail(error)


@pytest.fixture(scope="session", params=SERVER_KINDS)
def redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address of a store that all tests share, once for each kind; `redis_database` gives it empty."""
    yield from (server.url for server in running_redis(lambda: _redis(request.param, keep_data=False)))


@pytest.fixture
def redis_database(redis_url: str) -> str:
    """Address of the shared store, emptied for this test."""
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
    return redis_url


@pytest.fixture(params=SERVER_KINDS)
def own_redis(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A running store of this test alone, once for each kind. Its data survives `stop` and `kill`."""
    yield from running_redis(lambda: _redis(request.param, keep_data=True))


def _launch_broker(*, must_restart: bool) -> KafkaBroker:
    from tests.support.kafka_broker import launch_broker

    try:
        return launch_broker(must_restart=must_restart)
    except ServerUnavailableError as error:
        skip_or_fail(error)


def _redis(kind: str, *, keep_data: bool) -> RedisServer:
    return RedisServer(find_redis_server(kind), keep_data=keep_data)
