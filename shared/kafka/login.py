"""Login and TLS of the clients, and the reasons of brokers that refuse them.

Imports no client; only the names of settings are those of kafka-python.
"""

from __future__ import annotations

from typing import Any

from agegender.shared.errors import SettingsError
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.process.tls import why_refused


def login_settings(kafka: KafkaSettings) -> dict[str, Any]:
    """The settings of kafka-python for login and TLS. They hold the password: never log them.

    Raises:
        SettingsError: a certificate or a key has become unreadable since the settings were loaded.
    """
    found: dict[str, Any] = {"security_protocol": kafka.security_protocol}
    if kafka.uses_tls:
        try:
            found["ssl_context"] = kafka.tls_context()
        except ValueError as error:
            raise SettingsError(str(error)) from None
    if kafka.uses_login and kafka.username is not None:
        found["sasl_mechanism"] = kafka.sasl_mechanism
        found["sasl_plain_username"] = _as_sent(kafka.username, kafka.sasl_mechanism)
    return found | password_setting(kafka)


def password_setting(kafka: KafkaSettings) -> dict[str, str]:
    """The password as it is now, because its file may have been rotated; empty without a login."""
    if not kafka.uses_login or kafka.password is None:
        return {}
    return {"sasl_plain_password": kafka.password.get_secret_value()}


def _as_sent(username: str, mechanism: str | None) -> str:
    """The user name as sent. SCRAM separates fields by commas and equal signs (RFC 5802, section 5.1)."""
    return username if mechanism == "PLAIN" else username.replace("=", "=3D").replace(",", "=2C")


class Refusals:
    """The brokers that refused the last connection, with the reasons.

    The threads of the clients write it while they retry in silence. A call without an answer reads it.
    """

    def __init__(self) -> None:
        self._why: dict[tuple[str, str], str] = {}

    def note(self, kafka: KafkaSettings, node: str, error: BaseException | None, *, is_login: bool) -> bool:
        """Records the outcome of a connection; True when the broker refused it.

        Args:
            node: the address of the broker.
            error: None for a success.
            is_login: the broker refused user and password, or the SASL mechanism.
        """
        key = (kafka.bootstrap_servers, node)
        why = None if error is None else _why(kafka, str(error), is_login=is_login)
        if why is None:
            self._why.pop(key, None)
        else:
            self._why[key] = why
        return why is not None

    def of(self, kafka: KafkaSettings) -> str | None:
        """The reason of one of these brokers for refusing; None when no broker refuses."""
        found = (why for (servers, _), why in list(self._why.items()) if servers == kafka.bootstrap_servers)
        return next(found, None)


_ANOTHER_PROTOCOL = (
    "the broker does not understand the connection or hangs up: check that KAFKA_SECURITY_PROTOCOL is that "
    "of this listener, SASL_… for a login and …SSL for TLS"
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
    return None if reason is None else f"the broker or our certificate is not trusted: {reason}"


refusals = Refusals()
"""The refusals of all clients in this process."""
