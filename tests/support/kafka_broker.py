"""A real Apache Kafka broker: one that is given, one in a container, or one from jars on this machine."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Protocol

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import open_admin
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.store.server_process import ServerProcess
from tests.support.docker_container import DockerContainer, docker_engine_answers
from tests.support.kafka_jars import KAFKA_FOLDER, java_program, kafka_jars, kafka_version
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

_START_TIMEOUT_S = 60.0
_JAVA_OPTIONS = (
    "-Xmx512M",
    "-XX:+UseSerialGC",
    # A broker of a test lives for a minute: a second compiler would cost half as much CPU again as it runs.
    "-XX:TieredStopAtLevel=1",
    "-Dorg.apache.logging.log4j.level=INFO",
)


class _Server(Protocol):
    """What a process and a container have in common."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...
    def log_tail(self) -> str: ...
    @property
    def running(self) -> bool: ...


class KafkaBroker:
    """One broker with its own controller. Restarts use the same port and find the data of before.

    A broker started elsewhere (`can_restart` False) only gives its address.
    """

    def __init__(
        self, bootstrap_servers: str, server: _Server | None = None, remove: Callable[[], None] | None = None
    ) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._server = server
        self._remove = remove

    @property
    def can_restart(self) -> bool:
        """Whether this broker is ours to stop, kill and freeze."""
        return self._server is not None

    def start(self, timeout_s: float = _START_TIMEOUT_S) -> None:
        """Start the broker and wait until it takes requests; raises TimeoutError with the end of its log."""
        server = self._ours()
        server.start()
        try:
            wait_until(
                lambda: not server.running or broker_answers(self.bootstrap_servers),
                timeout_s,
                f"a Kafka broker answers at {self.bootstrap_servers}",
            )
            if not server.running:
                raise TimeoutError(
                    f"the Kafka broker for {self.bootstrap_servers} ended instead of answering"
                )
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log ends:\n{server.log_tail()}") from None

    def stop(self) -> None:
        """End the broker in an orderly way (SIGTERM); takes about a second."""
        self._ours().stop()

    def kill(self) -> None:
        """End the broker at once (SIGKILL)."""
        self._ours().kill()

    def freeze(self) -> None:
        """Halt the broker (SIGSTOP): connections stay open, new ones are accepted, nothing answers."""
        self._ours().freeze()

    def thaw(self) -> None:
        """Let the frozen broker go on (SIGCONT)."""
        self._ours().thaw()

    def close(self) -> None:
        """End the broker for good and remove its data; leaves a broker that is not ours alone."""
        if self._remove is not None:
            self._remove()

    def _ours(self) -> _Server:
        if self._server is None:
            raise RuntimeError("KAFKA_BOOTSTRAP_SERVERS names a broker that is not ours to start or stop")
        return self._server


def launch_broker(*, must_restart: bool = False) -> KafkaBroker:
    """Return a broker that answers: the one KAFKA_BOOTSTRAP_SERVERS names, else one of our own.

    Our own comes as the image apache/kafka where a Docker engine runs, else as jars on Java. `must_restart`
    asks for our own in any case, since a test is going to take it down.

    Raises `tests.support.availability.ServerUnavailableError` when none can be had here, TimeoutError when it
    did not start.
    """
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given and not must_restart:
        return KafkaBroker(given)
    broker = _in_container() if docker_engine_answers() else broker_from_jars()
    try:
        broker.start()
    except BaseException:
        broker.close()
        raise
    return broker


def broker_answers(bootstrap_servers: str) -> bool:
    """Return whether the broker at `host:port` is registered with its controller and takes requests."""
    host, _, port = bootstrap_servers.rpartition(":")
    try:
        # Asked first because the client logs every refused connection as an error, several times a second.
        socket.create_connection((host, int(port)), timeout=1.0).close()
        with open_admin(KafkaSettings(bootstrap_servers=bootstrap_servers)) as admin:
            return any(not broker["is_fenced"] for broker in admin.describe_cluster()["brokers"])
    except (OSError, NotNow):
        return False


def broker_settings(*, port: int, controller_port: int, listen_host: str, data_directory: str) -> str:
    """Return the text of a server.properties; `listen_host` is the address that the broker itself binds."""
    template = Template((KAFKA_FOLDER / "server.properties.template").read_text())
    return template.substitute(
        port=port, controller_port=controller_port, listen_host=listen_host, data_directory=data_directory
    )


def settings_as_environment(settings: str) -> dict[str, str]:
    """Return a server.properties as the variables that the image apache/kafka reads (see its usage guide)."""
    lines = (line.strip() for line in settings.splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {f"KAFKA_{name.replace('.', '_').upper()}": value for name, value in pairs}


def _in_container() -> KafkaBroker:
    port = free_loopback_port()
    # Inside the container every address is private to it, until Docker publishes the port on our loopback.
    settings = broker_settings(
        port=port,
        controller_port=19093,
        listen_host="0.0.0.0",  # noqa: S104
        data_directory="/var/lib/kafka/data",
    )
    container = DockerContainer(
        f"apache/kafka:{kafka_version()}",
        port=port,
        environment={
            "CLUSTER_ID": new_cluster_id(),
            "KAFKA_HEAP_OPTS": "-Xmx512M",
            **settings_as_environment(settings),
        },
    )
    return KafkaBroker(f"127.0.0.1:{port}", container, container.remove)


def broker_from_jars(
    change: Callable[[str], str] = str,
    *,
    port: int | None = None,
    cluster_id: str | None = None,
) -> KafkaBroker:
    """Return a broker on Java, formatted and not started.

    Args:
        change: may alter its server.properties.
        port: where it listens; None: at any free port.
        cluster_id: of the brokers that it belongs to; None: it is alone.
    """
    java = [java_program(), *_JAVA_OPTIONS, "-cp", f"{kafka_jars()}/*"]
    directory = Path(tempfile.mkdtemp(prefix="agegender-kafka-"))
    settings = directory / "server.properties"
    port = port or free_loopback_port()
    text = broker_settings(
        port=port,
        controller_port=free_loopback_port(),
        listen_host="127.0.0.1",
        data_directory=str(directory / "data"),
    )
    settings.write_text(change(text))
    process = ServerProcess([*java, "kafka.Kafka", settings], log_path=directory / "broker.log")

    def remove() -> None:
        process.stop()
        shutil.rmtree(directory)

    formatted = subprocess.run(
        [
            *java,
            "kafka.tools.StorageTool",
            "format",
            "--cluster-id",
            cluster_id or new_cluster_id(),
            "--config",
            str(settings),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_START_TIMEOUT_S,
    )
    if formatted.returncode != 0:
        remove()
        raise RuntimeError(f"Kafka's StorageTool did not format its folder:\n{formatted.stdout[-2000:]}")
    return KafkaBroker(f"127.0.0.1:{port}", process, remove)


def new_cluster_id() -> str:
    """Return 16 bytes in the spelling that Kafka wants: base64 for addresses, no padding."""
    # The fixed first bytes keep it from starting with a dash, which would make it an option.
    return base64.urlsafe_b64encode(b"test" + os.urandom(12)).rstrip(b"=").decode()
