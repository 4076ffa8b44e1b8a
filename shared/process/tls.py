"""TLS to Kafka and Redis: the files, and the reasons for failed handshakes."""

from __future__ import annotations

import ssl
import stat
from dataclasses import dataclass
from pathlib import Path

_ANOTHER_HOST = ("Hostname mismatch", "IP address mismatch")
_WANTS_OURS = (
    "CERTIFICATE_REQUIRED",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REVOKED",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
    "ALERT_HANDSHAKE_FAILURE",
)
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
_BROKEN_OFF = "EOF occurred"


@dataclass(frozen=True)
class TlsFiles:
    """The certificates of a TLS client. All files are PEM.

    Args:
        prefix: of the settings that name the files, for errors: `KAFKA_`.
        ca_path: the authorities that may sign the server's certificate; None: those of the machine.
        certificate_path: our own certificate, for servers that ask for one.
        key_path: its private key; None: it is in the same file.
        key_password: of an encrypted private key.
        verify_hostname: whether the server's certificate must name the host that we connect to.
    """

    prefix: str
    ca_path: Path | None = None
    certificate_path: Path | None = None
    key_path: Path | None = None
    key_password: str | None = None
    verify_hostname: bool = True

    def context(self) -> ssl.SSLContext:
        """The context for sockets: TLS 1.2 or newer; the server's certificate is always verified.

        Raises:
            ValueError: a file is missing, unreadable or does not match; the text names its setting.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = self.verify_hostname
        if self.ca_path is None:
            context.load_default_certs()
        else:
            self._readable("CA_PATH", self.ca_path)
            try:
                context.load_verify_locations(self.ca_path)
            except ssl.SSLError:
                raise ValueError(f"{self.prefix}CA_PATH: no certificate in {str(self.ca_path)!r}") from None
        if self.certificate_path is not None:
            self._load_ours(context, self.certificate_path)
        elif self.key_path is not None:
            raise ValueError(f"{self.prefix}KEY_PATH also needs {self.prefix}CERTIFICATE_PATH")
        return context

    def _load_ours(self, context: ssl.SSLContext, certificate_path: Path) -> None:
        self._readable("CERTIFICATE_PATH", certificate_path)
        if self.key_path is not None:
            self._readable("KEY_PATH", self.key_path)
        try:
            context.load_cert_chain(certificate_path, self.key_path, self._password)
        except ssl.SSLError as error:
            key = f"{self.prefix}{'CERTIFICATE_PATH' if self.key_path is None else 'KEY_PATH'}"
            if error.reason == "KEY_VALUES_MISMATCH":
                why = f"the private key does not belong to {self.prefix}CERTIFICATE_PATH"
            elif self.key_password is None:
                why = "certificate and private key must be PEM, in two files or in one"
            else:
                why = f"not a PEM of certificate and private key, or {self.prefix}KEY_PASSWORD is wrong"
            raise ValueError(f"{key}: {why}") from None

    def _password(self) -> str:
        # Without this answer, OpenSSL would ask on the terminal and wait.
        if self.key_password is None:
            raise ValueError(f"{self.prefix}KEY_PASSWORD is not set, and the private key is encrypted")
        return self.key_password

    def _readable(self, setting: str, path: Path) -> None:
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise ValueError(f"{self.prefix}{setting}: cannot read {str(path)!r}: {error.strerror}") from None

    def cautions(self) -> list[str]:
        """The unsafe choices in these settings, one sentence each."""
        found = []
        if not self.verify_hostname:
            found.append(
                f"{self.prefix}VERIFY_HOSTNAME is off: any owner of a certificate of the same authority can "
                "pose as the server"
            )
        key = self.key_path or self.certificate_path
        if key is not None and key.stat().st_mode & stat.S_IROTH:
            found.append(
                f"{str(key)!r} holds a private key that every user of this machine can read: chmod o-r"
            )
        return found


def why_refused(text: str, prefix: str) -> str | None:
    """The reason for a failed handshake in plain words; None when `text` is another error.

    Args:
        text: the error.
        prefix: of the settings to check: `KAFKA_`.
    """
    if any(word in text for word in _ANOTHER_HOST):
        return f"its certificate is for another host: use that name, or {prefix}VERIFY_HOSTNAME=false"
    if "CERTIFICATE_VERIFY_FAILED" in text:
        if "expired" in text:
            return "its certificate has expired"
        return f"its certificate is not signed by a trusted authority: check {prefix}CA_PATH"
    if any(word in text for word in _WANTS_OURS):
        return f"it requires a client certificate that it trusts: check {prefix}CERTIFICATE_PATH"
    if any(word in text for word in _NO_TLS):
        return "it does not speak TLS at this port"
    if _BROKEN_OFF in text:
        return (
            "it does not speak TLS at this port, or requires a client certificate: check "
            f"{prefix}CERTIFICATE_PATH"
        )
    return None
