"""How the clients of Kafka log in, and in plain words why a broker turned them away.

Knows no client: `login_settings` gives the names that kafka-python has for the settings.
"""

from __future__ import annotations

from typing import Any

from agegender.shared.errors import SettingsError
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.process.tls import why_refused


def login_settings(kafka: KafkaSettings) -> dict[str, Any]:
    """What every client needs besides the addresses. Holds the password: never to be logged.

    Raises:
        SettingsError: a certificate or a key has become unreadable since the settings were loaded.
    """
    found: dict[str, Any] = {"security_protocol": kafka.security_protocol}
    if kafka.uses_tls:
        try:
            found["ssl_context"] = kafka.tls_context()
        except ValueError as error:
            raise SettingsError(str(error)) from None
    if kafka.uses_login and kafka.username is not None and kafka.password is not None:
        found["sasl_mechanism"] = kafka.sasl_mechanism
        found["sasl_plain_username"] = _as_sent(kafka.username, kafka.sasl_mechanism)
        found["sasl_plain_password"] = kafka.password.get_secret_value()
    return found


def _as_sent(username: str, mechanism: str | None) -> str:
    """SCRAM has commas and equal signs of its own between its fields (RFC 5802, section 5.1)."""
    return username if mechanism == "PLAIN" else username.replace("=", "=3D").replace(",", "=2C")


class Refusals:
    """Which brokers turned us away when last asked, and why.

    Written by the threads of the clients, which try on in silence; read where a call got no answer.
    """

    def __init__(self) -> None:
        self._why: dict[tuple[str, str], str] = {}

    def note(self, kafka: KafkaSettings, node: str, error: BaseException | None, *, is_login: bool) -> bool:
        """Remembers how a try to connect ended; True where the broker turned us away.

        Args:
            node: which of the brokers.
            error: None for a success.
            is_login: the broker refused user and password, or the way to prove them.
        """
        key = (kafka.bootstrap_servers, node)
        why = None if error is None else _why(kafka, str(error), is_login=is_login)
        if why is None:
            self._why.pop(key, None)
        else:
            self._why[key] = why
        return why is not None

    def of(self, kafka: KafkaSettings) -> str | None:
        """Why one of these brokers turns us away at the moment; None when none does."""
        found = (why for (servers, _), why in list(self._why.items()) if servers == kafka.bootstrap_servers)
        return next(found, None)


_ANOTHER_PROTOCOL = (
    "the broker does not understand us or hangs up: check that KAFKA_SECURITY_PROTOCOL is that of this "
    "listener, SASL_… where it wants a login and …SSL where it speaks TLS"
)


def _why(kafka: KafkaSettings, text: str, *, is_login: bool) -> str | None:
    if is_login:
        return (
            f"the broker refuses the login of user {kafka.username!r} by {kafka.sasl_mechanism}, check "
            f"KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_SASL_MECHANISM: {text}"
        )
    if "socket disconnected" in text or "Invalid frame length" in text:
        return _ANOTHER_PROTOCOL
    reason = why_refused(text, "KAFKA_")
    return None if reason is None else f"the broker cannot be trusted or does not trust us: {reason}"


refusals = Refusals()
"""Of all clients of this process."""
