"""Several real brokers that make one cluster: each is a broker and a controller."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Any

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import open_admin
from agegender.shared.process.settings import KafkaSettings
from tests.support.kafka_broker import KafkaBroker, broker_from_jars, new_cluster_id
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

_BROKERS = 3
_GROUPS_TOPIC = "__consumer_offsets"


class KafkaCluster:
    """Context manager: three brokers, of which one may be down at a time.

    Args:
        fenced_after_s: how long a broker may be silent until others lead its partitions; by default 9 s.
    """

    def __init__(self, fenced_after_s: float) -> None:
        self._fenced_after_s = fenced_after_s
        ports = [free_loopback_port() for _ in range(2 * _BROKERS)]
        self._ports, self._controllers = ports[:_BROKERS], ports[_BROKERS:]
        cluster_id = new_cluster_id()

        def made(number: int) -> KafkaBroker:
            change = partial(self._joined, number)
            return broker_from_jars(change, port=self._ports[number], cluster_id=cluster_id)

        with ThreadPoolExecutor(_BROKERS) as pool:
            self._brokers = list(pool.map(made, range(_BROKERS)))

    @property
    def bootstrap_servers(self) -> str:
        """All of them."""
        return ",".join(one.bootstrap_servers for one in self._brokers)

    def __enter__(self) -> KafkaCluster:
        try:
            with ThreadPoolExecutor(_BROKERS) as pool:
                list(pool.map(KafkaBroker.start, self._brokers))
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for one in self._brokers:
            one.kill()
            one.close()

    def kill(self, number: int) -> None:
        """Ends this broker at once (SIGKILL)."""
        self._brokers[number].kill()

    def restart(self, number: int) -> None:
        """Starts a dead broker and waits until it has all that the others have."""
        self._brokers[number].start()
        wait_until(self._is_whole, 30, "all replicas are in sync")

    def freeze(self, number: int) -> None:
        """Halts this broker (SIGSTOP)."""
        self._brokers[number].freeze()

    def thaw(self, number: int) -> None:
        """Lets a frozen broker go on, and waits until it has all that the others have."""
        self._brokers[number].thaw()
        wait_until(self._is_whole, 30, "all replicas are in sync")

    def group_coordinator(self) -> int:
        """The number of the broker that leads the groups, whose topic has one partition in these tests."""
        with self._admin() as admin:
            (topic,) = admin.describe_topics([_GROUPS_TOPIC])
        return int(topic["partitions"][0]["leader_id"])

    def wait_for_election(self, dead: int) -> None:
        """Waits until the others lead all that the dead broker led."""
        wait_until(lambda: self._leads_nothing(dead), 4 * self._fenced_after_s + 10, "others lead")

    def _leads_nothing(self, number: int) -> bool:
        with contextlib.suppress(NotNow), self._admin() as admin:
            topics = admin.describe_topics(admin.list_topics())
            return all(part["leader_id"] not in (number, -1) for one in topics for part in one["partitions"])
        return False

    def _is_whole(self) -> bool:
        with contextlib.suppress(NotNow), self._admin() as admin:
            topics = admin.describe_topics(admin.list_topics())
            return all(
                len(part["isr_nodes"]) == len(part["replica_nodes"])
                for one in topics
                for part in one["partitions"]
            )
        return False

    @contextlib.contextmanager
    def _admin(self) -> Iterator[Any]:
        with open_admin(KafkaSettings(bootstrap_servers=self.bootstrap_servers)) as admin:
            yield admin

    def _joined(self, number: int, settings: str) -> str:
        """server.properties of one of the brokers: three copies of everything, and two must be written."""
        controllers = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(self._controllers))
        listeners = f"PLAINTEXT://127.0.0.1:{self._ports[number]}"
        three = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
        changed: Mapping[str, object] = {
            "node.id": number,
            "controller.quorum.voters": controllers,
            "listeners": f"{listeners},CONTROLLER://127.0.0.1:{self._controllers[number]}",
            **{f"{name}.replication.factor": _BROKERS for name in three},
            "transaction.state.log.min.isr": 2,
            "share.coordinator.state.topic.min.isr": 2,
            "min.insync.replicas": 2,
            "broker.session.timeout.ms": int(self._fenced_after_s * 1000),
        }
        kept = [line for line in settings.splitlines() if line.partition("=")[0] not in changed]
        return "\n".join([*kept, *(f"{name}={value}" for name, value in changed.items())]) + "\n"
