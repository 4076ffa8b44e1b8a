"""Looks for secrets in everything that the services leave behind, in every spelling that they may have."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote

import redis
from kafka import KafkaAdminClient

from tests.support.pipeline import read_topic
from tests.support.services import Service

Places = Mapping[str, bytes]
"""Where something was found → what is there."""


def spellings(secret: str) -> set[bytes]:
    """A secret as it is, as part of a URL, of JSON, of a Python text, and inside of Base64."""
    raw = secret.encode()
    found = {raw, quote(secret, safe="").encode(), quote(secret).encode()}
    found |= {json.dumps(secret)[1:-1].encode(), repr(secret)[1:-1].encode()}
    for before in range(3):
        encoded = base64.b64encode(b"\x00" * before + raw)
        # The first and the last signs depend on what stands around the secret.
        found.add(encoded[4 if before else 0 : -4])
    return found


def leaks(secrets: Iterable[str], places: Places) -> list[str]:
    """The names of the places that hold one of the secrets."""
    needles = {needle for secret in secrets for needle in spellings(secret)}
    return sorted(name for name, content in places.items() if any(needle in content for needle in needles))


def of_services(services: Iterable[Service]) -> dict[str, bytes]:
    """The logs, the pages of the HTTP server and the entry in the list of processes."""
    found = {}
    for service in services:
        name = f"{service.log_path.parent.name}/{service.log_path.name}"
        found[f"log {name}"] = service.log_path.read_bytes()
        for path in ("/metrics", "/ready", "/live", "/"):
            found[f"{path} of {name}"] = service.page(path).encode()
        listed = ["ps", "-o", "args=", "-p", str(service.pid)]
        found[f"process of {name}"] = subprocess.run(listed, capture_output=True, check=True).stdout
    return found


def of_kafka(bootstrap_servers: str, prefix: str) -> dict[str, bytes]:
    """Every record of the topics with names that begin with `prefix`: key, value and headers."""
    with KafkaAdminClient(bootstrap_servers=bootstrap_servers) as admin:
        topics = [name for name in admin.list_topics() if name.startswith(prefix)]
    return {f"topic {name}": b"\n".join(_records(bootstrap_servers, name)) for name in topics}


def _records(bootstrap_servers: str, topic: str) -> Iterator[bytes]:
    for record in read_topic(bootstrap_servers, topic):
        yield from (record.key, record.value)
        for name, value in record.headers:
            yield from (name.encode(), value or b"")


def of_redis(client: redis.Redis) -> dict[str, bytes]:
    """Every key with all that it holds; the server must not compress what it dumps (`rdbcompression no`)."""
    return {f"key {key!r}": key + b"\n" + (client.dump(key) or b"") for key in client.scan_iter()}
