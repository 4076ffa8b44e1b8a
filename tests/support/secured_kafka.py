"""A real Kafka broker that wants passwords and certificates, one kind on each of its listeners."""

from __future__ import annotations

from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from agegender.shared.process.settings import KafkaSettings
from tests.support.certificates import Authority
from tests.support.kafka_broker import broker_from_jars
from tests.support.ports import free_loopback_port

_PROTOCOLS = {
    "LOGIN": "SASL_SSL",
    "UNENCRYPTED": "SASL_PLAINTEXT",
    "MUTUAL": "SSL",
    "ELSEWHERE": "SSL",
}
_JAAS = "org.apache.kafka.common.security"


class SecuredKafka:
    """One broker with five listeners.

    `open_servers` takes everybody, for looking in; `login` wants a user over TLS (PLAIN and both SCRAM),
    `unencrypted` a user without TLS, `mutual` a certificate of `authority`; the certificate of `elsewhere`
    is made out for another host.
    """

    def __init__(self, folder: Path, *, user: str, password: str) -> None:
        self.authority = Authority(folder)
        self.user = user
        self.password = password
        self._server = self.authority.issue("broker", "DNS:localhost", "IP:127.0.0.1").both
        self._elsewhere = self.authority.issue("elsewhere", "DNS:kafka.example.org").both
        self._ports = {name: free_loopback_port() for name in _PROTOCOLS}
        self._broker = broker_from_jars(self._secured)

    def start(self) -> None:
        """Starts the broker, also again after `stop`: it keeps its ports, its users and its data."""
        self._broker.start()

    def stop(self) -> None:
        """Ends the broker."""
        self._broker.stop()

    def set_password(self, user: str, password: str) -> None:
        """Makes a user of SCRAM, or gives one another password."""
        with KafkaAdminClient(bootstrap_servers=self.open_servers) as admin:
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
                credential = UserScramCredentialUpsertion(user, mechanism, password)
                problems = admin.alter_user_scram_credentials([credential])
                assert not any(problems.values()), problems

    def close(self) -> None:
        """Ends the broker for good and removes its data."""
        self._broker.close()

    @property
    def open_servers(self) -> str:
        """Where nothing is asked for."""
        return self._broker.bootstrap_servers

    def address(self, listener: str) -> str:
        """host:port of `login`, `unencrypted`, `mutual` or `elsewhere`."""
        return f"127.0.0.1:{self._ports[listener.upper()]}"

    def settings(self, listener: str, **more: object) -> KafkaSettings:
        """What reaches a listener: its protocol, our authority and, where it wants one, the user."""
        protocol = _PROTOCOLS[listener.upper()]
        values: dict[str, object] = {
            "bootstrap_servers": self.address(listener),
            "security_protocol": protocol,
            "partitions": 1,
            "session_timeout_s": 6,
        }
        if protocol.endswith("SSL"):
            values["ca_path"] = self.authority.certificate
        if protocol.startswith("SASL"):
            values |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "username": self.user,
                "password": self.password,
            }
        return KafkaSettings.model_validate({**values, **more})

    def _secured(self, settings: str) -> str:
        """server.properties with the listeners of ours behind those that it has."""
        places = "".join(f",{name}://127.0.0.1:{port}" for name, port in self._ports.items())
        protocols = "".join(f",{name}:{protocol}" for name, protocol in _PROTOCOLS.items())
        behind = {
            "listeners=": places,
            "advertised.listeners=": places,
            "listener.security.protocol.map=": protocols,
        }
        lines = [
            line + "".join(more for start, more in behind.items() if line.startswith(start))
            for line in settings.splitlines()
        ]
        lines += [
            "ssl.keystore.type=PEM",
            f"ssl.keystore.location={self._server}",
            "ssl.truststore.type=PEM",
            f"ssl.truststore.location={self.authority.certificate}",
            "listener.name.mutual.ssl.client.auth=required",
            f"listener.name.elsewhere.ssl.keystore.location={self._elsewhere}",
        ]
        for listener in ("login", "unencrypted"):
            name = f"listener.name.{listener}"
            lines += [
                f"{name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                f"{name}.plain.sasl.jaas.config={_JAAS}.plain.PlainLoginModule required "
                f"user_{self.user}={_quoted(self.password)};",
                f"{name}.scram-sha-256.sasl.jaas.config={_JAAS}.scram.ScramLoginModule required;",
                f"{name}.scram-sha-512.sasl.jaas.config={_JAAS}.scram.ScramLoginModule required;",
            ]
        return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A string of a Java login configuration inside a file of Java properties, which is Latin-1."""
    in_jaas = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    escaped = in_jaas.replace("\\", "\\\\")
    return "".join(c if c.isascii() else f"\\u{ord(c):04x}" for c in escaped)
