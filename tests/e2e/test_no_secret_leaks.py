"""Four processes with a secret for each thing that they reach, and none of them anywhere it can be read."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
import yaml
from kafka import KafkaAdminClient, KafkaProducer

from agegender.shared.process.settings import RedisSettings
from agegender.shared.store.client import connect
from agegender.simulator.content.scenes import pair_scene
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.pipeline import Distributed
from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.secret_search import leaks, of_kafka, of_redis, of_services
from tests.support.secured_kafka import SecuredKafka
from tests.support.services import Service
from tests.support.waiting import wait_until

KAFKA_SECRET = 'kaf-pä55 @:/%#,=w"ö\\rd'
REDIS_SECRET = "red-pä55@:/%#'w0rd"
CAMERA_SECRET = 'cam-pä55 @:/%#"w0rd'
URL_SECRET = "url-pä55@:/%#w0rd"
WRONG_SECRET = "wro-pä55@:/%#w0rd"
QUERY_SECRET = "que-pä55@:/%#w0rd"
PATH_SECRET = "pat_pa55w0rd"
SECRETS = (
    KAFKA_SECRET,
    REDIS_SECRET,
    CAMERA_SECRET,
    URL_SECRET,
    WRONG_SECRET,
    QUERY_SECRET,
    PATH_SECRET,
)
PREFIX = "secret-"
_GUIDE = Path(__file__).parents[2] / "docs/security.md"

pytestmark = pytest.mark.timeout(240)


@dataclass(frozen=True)
class Setup:
    """The services at work, a stranger without access, and a look into the servers."""

    pipeline: Distributed
    stranger: Service
    open_kafka: str
    store: redis.Redis

    @property
    def services(self) -> list[Service]:
        return [*self.pipeline.services.values(), self.stranger]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("secrets")
    with ExitStack() as stack:
        try:
            broker = SecuredKafka(folder, user="pipeline", password=KAFKA_SECRET)
            stack.callback(broker.close)
            url = _store(stack, folder)
        except ServerUnavailableError as error:
            skip_or_fail(error)
        broker.start()
        settings = {
            "AGEGENDER_LOG_LEVEL": "debug",
            "KAFKA_BOOTSTRAP_SERVERS": broker.address("login"),
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": "PLAIN",
            "KAFKA_USERNAME": "pipeline",
            "KAFKA_PASSWORD_FILE": _written(folder / "kafka", KAFKA_SECRET),
            "KAFKA_CA_PATH": str(broker.authority.certificate),
            "REDIS_USERNAME": "sink",
            "REDIS_PASSWORD": REDIS_SECRET,
        }
        cameras = folder / "cameras.yaml"
        cameras.write_text(yaml.safe_dump({"cameras": _cameras(stack, folder)}))
        pipeline = Distributed(broker.open_servers, url, PREFIX, cameras, folder, home=None, **settings)
        _written(folder / "kafka-wrong", WRONG_SECRET)
        wrong = {"KAFKA_PASSWORD_FILE": str(folder / "kafka-wrong"), "REDIS_URL": url}
        stranger = Service("sink", {**settings, **wrong}, tmp_path_factory.mktemp("stranger"))
        stack.callback(stranger.close)
        login = {"url": url, "username": "looker", "password": REDIS_SECRET}
        store = stack.enter_context(connect(RedisSettings.model_validate(login)))
        with pipeline.running():
            yield Setup(pipeline, stranger.start(), broker.open_servers, store)


def _written(path: Path, text: str) -> str:
    path.write_text(text + "\n")
    return str(path)


def _store(stack: ExitStack, folder: Path) -> str:
    """The URL of a store that lets in two users: `sink`, with the rights that docs/security.md gives it, and
    `looker` may read everything."""
    digest = hashlib.sha256(REDIS_SECRET.encode()).hexdigest()
    (rights,) = re.findall(r"ACL SETUSER sink on '>[^']+' (.*)", _GUIDE.read_text())
    users = _written(
        folder / "users.acl",
        f"user default off\nuser sink on #{digest} {rights}\nuser looker on #{digest} ~* +@all",
    )
    more = {"aclfile": users, "rdbcompression": "no"}
    server = RedisServer(find_redis_server("valkey"), more_settings=more)
    stack.callback(server.close)
    server.start()
    return server.url


def _cameras(stack: ExitStack, folder: Path) -> list[dict[str, str]]:
    """One camera with its password in a file, one with it in the URL, one that refuses its login, one with
    it in the query, and one that is away with it in the path."""
    scene = pair_scene(swapped=False)
    by_file, by_url = (
        stack.enter_context(CameraSimulator(login=Login("viewer", secret)))
        for secret in (CAMERA_SECRET, URL_SECRET)
    )
    door, hall = by_file.add("door", scene.path), by_url.add("hall", scene.path)
    yard = stack.enter_context(CameraSimulator()).add("yard", scene.path)
    password_file = _written(folder / "camera", CAMERA_SECRET)
    return [
        {"id": "door", "source": door, "username": "viewer", "password_file": password_file},
        {"id": "hall", "source": hall.replace("://", f"://viewer:{quote(URL_SECRET, safe='')}@")},
        {"id": "closed", "source": hall, "username": "viewer", "password": WRONG_SECRET},
        {"id": "yard", "source": f"{yard}?user=viewer&password={quote(QUERY_SECRET, safe='')}"},
        {
            "id": "away",
            "source": f"rtsp://127.0.0.1:1/user=viewer_password={PATH_SECRET}_channel=1_stream=0.sdp",
        },
    ]


def everything(setup: Setup) -> dict[str, bytes]:
    """All that can be read of the services and of what they have written."""
    return {**of_services(setup.services), **of_kafka(setup.open_kafka, PREFIX), **of_redis(setup.store)}


def _wait_for_all(setup: Setup) -> None:
    """Until every kind of place has something in it, and every refusal was said."""
    services = setup.pipeline.services
    failures = "agegender_camera_failures_total"
    wait_until(
        lambda: services["sink"].metric("agegender_messages_received_total") >= 20,
        90,
        "results reach the sink",
    )
    wait_until(lambda: services["ingest"].metric(failures, camera="closed"), 20, "a camera refuses its login")
    wait_until(lambda: services["ingest"].metric(failures, camera="away"), 20, "a camera is away")
    wait_until(
        lambda: services["ingest"].metric("agegender_camera_up_bool", camera="yard"), 20, "a camera is up"
    )
    wait_until(
        lambda: "refuses the login" in setup.stranger.readiness()[1], 30, "the broker refuses the stranger"
    )
    wait_until(lambda: list(setup.store.scan_iter()), 30, "something is in the store")


def test_no_secret_is_in_any_log_page_process_record_or_key(setup: Setup) -> None:
    _wait_for_all(setup)
    places = everything(setup)
    for name in ("frames", "faces", "results"):
        assert places[f"topic {PREFIX}{name}"], name
    assert any(name.startswith("key ") for name in places)
    assert leaks(SECRETS, places) == []


def test_the_search_finds_what_is_planted(setup: Setup) -> None:
    _wait_for_all(setup)
    raw = KAFKA_SECRET.encode()
    with KafkaAdminClient(bootstrap_servers=setup.open_kafka) as admin:
        admin.create_topics({f"{PREFIX}planted": {"num_partitions": 1}}, wait_for_metadata=True)
    producer = KafkaProducer(bootstrap_servers=setup.open_kafka)
    headers = [("why", quote(KAFKA_SECRET).encode())]
    producer.send(f"{PREFIX}planted", b"", headers=headers).get(timeout=10)
    producer.close()
    setup.store.set("planted", base64.b64encode(b"pipeline:" + raw))
    found = leaks(SECRETS, everything(setup))
    setup.store.delete("planted")
    assert found == ["key b'planted'", f"topic {PREFIX}planted"]


@pytest.mark.parametrize("secret", SECRETS)
def test_the_search_knows_every_spelling(secret: str) -> None:
    for text in (
        f"login {secret} failed".encode(),
        json.dumps({"reason": f"login {secret} failed"}).encode(),
        repr([secret]).encode(),
        f"rtsp://viewer:{quote(secret, safe='')}@host".encode(),
        *(base64.b64encode(b"user:"[:n] + secret.encode() + b":x") for n in range(4)),
    ):
        assert leaks([secret], {"here": text}) == ["here"]
    assert leaks([secret], {"here": b"nothing", "there": secret[:-2].encode()}) == []
