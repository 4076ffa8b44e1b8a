"""Settings from the environment and from files, checked at the start of a process.

A setting `fps` of a class with the prefix `INGEST_` is read from `INGEST_FPS`, or from the file that
`INGEST_FPS_FILE` names, as Docker and Kubernetes provide secrets. A password is read from its file again at
each login, because it may be rotated. An unknown name with one of our prefixes is an error, because it is
probably a typing mistake.
"""

from __future__ import annotations

import difflib
import logging
import os
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from agegender.shared.errors import SettingsError
from agegender.shared.process.logs import LogFormat
from agegender.shared.process.redis_url import SentinelUrl, url_problems
from agegender.shared.process.secret_file import SecretFile, text_of
from agegender.shared.process.secrets import remember_secret
from agegender.shared.process.tls import TlsFiles

log = logging.getLogger(__name__)

S = TypeVar("S", bound="Settings")

_FILE_SUFFIX = "_FILE"


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Settings(BaseModel):
    """Base of all settings: frozen, read with `load`."""

    # The input of a failed validation may hold a password, and the text of the error would repeat it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    prefix: ClassVar[str]
    shares_prefix: ClassVar[bool] = False
    """True when other programs use the prefix too: an orchestrator sets REDIS_PORT for a service named redis.
    Then only a name close to one of ours counts as a mistake."""

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Environment variable → field."""
        return {cls.prefix + name.upper(): name for name in cls.model_fields}

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Reads and checks the settings.

        Raises:
            SettingsError: names every variable that is unknown, given twice, unreadable or malformed.
        """
        environ = os.environ if environ is None else environ
        known = cls.variables()
        problems = [*cls._unknown(environ, known)]
        values: dict[str, str | SecretStr] = {}
        for variable, field in known.items():
            path = environ.get(variable + _FILE_SUFFIX)
            if path is not None and variable in environ:
                problems.append(f"{variable} and {variable}{_FILE_SUFFIX} are both set: keep one")
            elif path is not None:
                try:
                    values[field] = SecretFile(Path(path)) if cls._is_secret(field) else text_of(Path(path))
                except OSError as error:
                    problems.append(f"{variable}{_FILE_SUFFIX}: cannot read {path!r}: {error.strerror}")
                except UnicodeDecodeError:
                    problems.append(f"{variable}{_FILE_SUFFIX}: {path!r} is not UTF-8 text")
            elif variable in environ:
                values[field] = environ[variable]
        settings = None
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += [cls._describe(one) for one in error.errors(include_url=False)]
        if settings is None or problems:
            raise SettingsError("; ".join(problems))
        for value in settings.__dict__.values():
            if isinstance(value, SecretStr):
                remember_secret(value.get_secret_value())
        for caution in settings.cautions():
            log.warning("not safe", extra={"reason": caution})
        return settings

    def cautions(self) -> Sequence[str]:
        """The unsafe choices in these settings, one sentence each; logged when they are loaded."""
        return ()

    @classmethod
    def _unknown(cls, environ: Mapping[str, str], known: Mapping[str, str]) -> Iterable[str]:
        for name in sorted(environ):
            if not name.startswith(cls.prefix) or name.removesuffix(_FILE_SUFFIX) in known:
                continue
            close = difflib.get_close_matches(name.removesuffix(_FILE_SUFFIX), known, n=1, cutoff=0.85)
            if close:
                yield f"{name} is unknown: did you mean {close[0]}?"
            elif not cls.shares_prefix:
                yield f"{name} is unknown: expected one of {', '.join(sorted(known))}"

    @classmethod
    def _describe(cls, error: Any) -> str:  # noqa: ANN401  (pydantic's ErrorDetails)
        if not error["loc"]:
            # It concerns several settings: the text names them, and the input holds all their values.
            return str(error["msg"]).removeprefix("Value error, ")
        field = str(error["loc"][0])
        variable = cls.prefix + field.upper()
        if error["type"] == "missing":
            return f"{variable} is not set: {cls.model_fields[field].description}"
        got = "" if cls._is_secret(field) else f", got {error['input']!r}"
        return f"{variable}: {error['msg']}{got}"

    @classmethod
    def _is_secret(cls, field: str) -> bool:
        return field in cls.model_fields and "SecretStr" in str(cls.model_fields[field].annotation)


class ProcessSettings(Settings):
    """The settings of every process."""

    prefix: ClassVar[str] = "AGEGENDER_"

    log_level: Annotated[Literal["debug", "info", "warning", "error"] | None, BeforeValidator(_lower)] = None
    """None: info for services, warning for the command."""
    log_format: Annotated[LogFormat | None, BeforeValidator(_lower)] = None
    """None: json for services, text for the command."""
    http_host: str = "127.0.0.1"
    """The address of /live, /ready and /metrics; 0.0.0.0 opens them to the network."""
    store_path: Path | None = None
    """The folder of the embedded store; None: `agegender` in the user's folder for program state."""
    http_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """None: the service's own default; 0: any free port."""


class TlsSettings(Settings):
    """How the certificates of a server and our own are checked. Files are PEM."""

    ca_path: Path | None = None
    """The authorities that may sign the server's certificate; None: those of this machine."""
    certificate_path: Path | None = None
    """Our own certificate, for a server that asks for one."""
    key_path: Path | None = None
    """Its private key; None: it is in the file of the certificate."""
    key_password: SecretStr | None = None
    """Of an encrypted private key."""
    verify_hostname: bool = True
    """False: the server's certificate may name any host. A known authority must still have signed it."""

    def tls_context(self) -> ssl.SSLContext:
        """See `TlsFiles.context`."""
        return self._tls_files.context()

    @property
    def _tls_files(self) -> TlsFiles:
        password = None if self.key_password is None else self.key_password.get_secret_value()
        return TlsFiles(
            self.prefix, self.ca_path, self.certificate_path, self.key_path, password, self.verify_hostname
        )

    def _tls_problems(self, *, is_used: bool, used_with: str) -> Iterator[str]:
        given = ("ca_path", "certificate_path", "key_path", "key_password", "verify_hostname")
        if is_used:
            try:
                self.tls_context()
            except ValueError as error:
                yield str(error)
            return
        for name in given:
            if getattr(self, name) != type(self).model_fields[name].default:
                yield f"{self.prefix}{name.upper()} is set and TLS is not used: {used_with}"


SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class KafkaSettings(TlsSettings):
    """How to reach Kafka."""

    prefix: ClassVar[str] = "KAFKA_"
    shares_prefix: ClassVar[bool] = True

    bootstrap_servers: Annotated[str, Field(pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$")] = "127.0.0.1:9092"
    """host:port, several with commas between."""
    security_protocol: Annotated[SecurityProtocol, BeforeValidator(_upper)] = "PLAINTEXT"
    """That of the broker's listener: SSL for TLS, SASL for a login."""
    sasl_mechanism: Annotated[SaslMechanism | None, BeforeValidator(_upper)] = None
    """How the password is proven; PLAIN sends it, so it needs TLS."""
    username: Annotated[str, Field(min_length=1)] | None = None
    password: SecretStr | None = None
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    """Put before the names of topics and groups, so that two systems can share a broker."""
    partitions: Annotated[int, Field(ge=1, le=1_000)] = 24
    """Partitions of a new topic; the most workers that can share its work."""
    camera_partitions: Annotated[int, Field(ge=1, le=1_000)] = 64
    """Partitions of the topic of cameras when it is created. A worker holds whole partitions. So with many
    more partitions than cameras the workers hold nearly equal numbers of cameras."""
    replication: Annotated[int, Field(ge=1, le=9)] = 1
    """Replicas of each partition of a new topic."""
    partition_bytes: Annotated[int, Field(ge=-1)] = -1
    """The size limit of each partition of a new topic; -1: none. Kafka deletes the oldest messages of a
    larger partition, processed or not, which protects the broker's disk. Compacted topics have no limit."""
    session_timeout_s: Annotated[float, Field(ge=6, le=300)] = 25.0
    """A worker without a heartbeat for this long counts as dead, and others take over its partitions. After
    the death of a broker, a group has no coordinator for up to 15 s, and workers must keep their cameras
    meanwhile. A detect worker is still replaced within its deadline of 30 s."""
    dead_letter_pictures: bool = False
    """Whether a dead letter keeps the bytes of its message, which may be the picture of a person."""

    @property
    def uses_tls(self) -> bool:
        """Whether the connections are encrypted."""
        return self.security_protocol in ("SSL", "SASL_SSL")

    @property
    def uses_login(self) -> bool:
        """Whether the broker asks for user and password."""
        return self.security_protocol in ("SASL_PLAINTEXT", "SASL_SSL")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        problems = [
            *self._login_problems(),
            *self._tls_problems(
                is_used=self.uses_tls, used_with="set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL"
            ),
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _login_problems(self) -> Iterator[str]:
        protocol = f"KAFKA_SECURITY_PROTOCOL is {self.security_protocol}"
        for name in ("sasl_mechanism", "username", "password"):
            is_given = getattr(self, name) is not None
            if self.uses_login and not is_given:
                choices = " (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512)" if name == "sasl_mechanism" else ""
                yield f"KAFKA_{name.upper()}{choices} is not set, and {protocol}"
            if is_given and not self.uses_login:
                yield f"KAFKA_{name.upper()} is set, and {protocol}: set it to SASL_SSL or SASL_PLAINTEXT"

    def cautions(self) -> Sequence[str]:
        """See `Settings.cautions`."""
        found = self._tls_files.cautions() if self.uses_tls else []
        if self.security_protocol == "SASL_PLAINTEXT" and self.sasl_mechanism == "PLAIN":
            found.append("KAFKA_PASSWORD crosses the network unencrypted: use SASL_SSL, or a SCRAM mechanism")
        return found


class RedisSettings(TlsSettings):
    """How to reach Redis or Valkey."""

    prefix: ClassVar[str] = "REDIS_"
    shares_prefix: ClassVar[bool] = True

    url: SecretStr | None = None
    """redis://, rediss:// (TLS) or unix://, with user and password if needed. Or the sentinels of a Redis:
    redis+sentinel://host[:port],…/NAME[/database], rediss+sentinel:// with TLS."""
    username: Annotated[str, Field(min_length=1)] | None = None
    """If it is not in the URL."""
    password: SecretStr | None = None
    """If it is not in the URL; here it may hold any character."""
    sentinels_username: Annotated[str, Field(min_length=1)] | None = None
    """Of the sentinels, which have a login of their own."""
    sentinels_password: SecretStr | None = None
    """Of the sentinels."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long to wait for an answer."""

    @property
    def address(self) -> str:
        """The URL, or that of a server on this machine. It may hold a password: never log it."""
        return self.url.get_secret_value() if self.url is not None else "redis://127.0.0.1:6379/0"

    @property
    def uses_tls(self) -> bool:
        """Whether the connections are encrypted."""
        return self.address.lower().startswith(("rediss://", "rediss+sentinel://"))

    @property
    def sentinels(self) -> SentinelUrl | None:
        """The sentinels that know the primary; None if the URL names a server."""
        return SentinelUrl.parse(self.address)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        has_login = self.username is not None or self.password is not None
        problems = [
            *url_problems(self.address, has_login=has_login),
            *self._tls_problems(
                is_used=self.uses_tls, used_with="begin REDIS_URL with rediss:// or rediss+sentinel://"
            ),
        ]
        for name in ("", "SENTINELS_"):
            username, password = (f"{name}{part}".lower() for part in ("USERNAME", "PASSWORD"))
            if getattr(self, username) is not None and getattr(self, password) is None:
                problems.append(f"REDIS_{name}USERNAME is set and REDIS_{name}PASSWORD is not")
        if self.sentinels_password is not None and self.sentinels is None:
            problems.append(
                "REDIS_SENTINELS_PASSWORD is set and REDIS_URL names no sentinels: begin it with "
                "redis+sentinel://"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def cautions(self) -> Sequence[str]:
        """See `Settings.cautions`."""
        return self._tls_files.cautions() if self.uses_tls else ()

    def at(self, url: str) -> Self:
        """The settings for our own server at `url`: without login and TLS, except for those in the URL."""
        logins = ("username", "password", "sentinels_username", "sentinels_password")
        nothing = dict.fromkeys((*logins, *TlsSettings.model_fields))
        return self.model_copy(update={**nothing, "verify_hostname": True, "url": SecretStr(url)})
