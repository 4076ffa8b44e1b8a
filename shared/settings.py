"""Settings from the environment and from files, checked at the start.

A setting `fps` of a class with the prefix `INGEST_` is read from `INGEST_FPS`, or from the file that
`INGEST_FPS_FILE` names, which is how Docker and Kubernetes hand over secrets. A name under our own prefixes
that nothing reads is an error, because it is a typing mistake that would otherwise go unnoticed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from shared.errors import SettingsError
from shared.logs import LogFormat
from shared.secrets import remember_secret

S = TypeVar("S", bound="Settings")

_FILE_SUFFIX = "_FILE"


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class Settings(BaseModel):
    """Base of all settings: frozen, read with `load`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefix: ClassVar[str]
    shares_prefix: ClassVar[bool] = False
    """True where other programs use the prefix as well (an orchestrator sets REDIS_PORT for a service called
    redis). Then only a name close to one of ours counts as a mistake."""

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
        values: dict[str, str] = {}
        for variable, field in known.items():
            path = environ.get(variable + _FILE_SUFFIX)
            if path is not None and variable in environ:
                problems.append(f"{variable} and {variable}{_FILE_SUFFIX} are both set: keep one")
            elif path is not None:
                try:
                    values[field] = Path(path).read_text().rstrip("\r\n")
                except OSError as error:
                    problems.append(f"{variable}{_FILE_SUFFIX}: cannot read {path!r}: {error.strerror}")
                except UnicodeDecodeError:
                    problems.append(f"{variable}{_FILE_SUFFIX}: {path!r} is no UTF-8 text")
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
        return settings

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
        field = str(error["loc"][0]) if error["loc"] else ""
        variable = cls.prefix + field.upper() if field else cls.__name__
        if error["type"] == "missing":
            return f"{variable} is not set: {cls.model_fields[field].description}"
        is_secret = field in cls.model_fields and "SecretStr" in str(cls.model_fields[field].annotation)
        got = "" if is_secret else f", got {error['input']!r}"
        return f"{variable}: {error['msg']}{got}"


class ProcessSettings(Settings):
    """What every process has."""

    prefix: ClassVar[str] = "AGEGENDER_"

    log_level: Annotated[Literal["debug", "info", "warning", "error"] | None, BeforeValidator(_lower)] = None
    """None: info for services, warning for the command."""
    log_format: Annotated[LogFormat | None, BeforeValidator(_lower)] = None
    """None: json for services, text for the command."""
    http_host: str = "127.0.0.1"
    """Where /live, /ready and /metrics are served; 0.0.0.0 opens them to the network."""
    store_path: Path | None = None
    """Folder of the embedded store; None: `agegender` in the user's folder for program state."""
    http_port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    """None: the service's own default; 0: any free port."""


class KafkaSettings(Settings):
    """How to reach Kafka."""

    prefix: ClassVar[str] = "KAFKA_"
    shares_prefix: ClassVar[bool] = True

    bootstrap_servers: Annotated[str, Field(pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$")] = "127.0.0.1:9092"
    """host:port, several with commas between."""
    topic_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,64}$")] = ""
    """Put before the names of topics and groups, so that two systems can share a broker."""
    partitions: Annotated[int, Field(ge=1, le=1_000)] = 12
    """Partitions of a topic that does not exist yet; the most workers that can share its work."""
    camera_partitions: Annotated[int, Field(ge=1, le=1_000)] = 64
    """Partitions of the topic of the cameras, if it does not exist yet. A worker holds whole partitions: with
    many more of them than cameras, workers hold as many cameras each as can be."""
    replication: Annotated[int, Field(ge=1, le=9)] = 1
    """Copies of a topic that does not exist yet."""
    session_timeout_s: Annotated[float, Field(ge=6, le=300)] = 10.0
    """A worker that is not heard of for so long has died, and others take over its work."""
    dead_letter_pictures: bool = False
    """Whether a dead letter keeps the bytes of its message, which may be the picture of a person."""


class RedisSettings(Settings):
    """How to reach Redis or Valkey."""

    prefix: ClassVar[str] = "REDIS_"
    shares_prefix: ClassVar[bool] = True

    url: SecretStr | None = None
    """redis://, rediss:// (TLS) or unix://, with user and password where needed."""
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """How long to wait for an answer."""

    @property
    def address(self) -> str:
        """The URL, or that of a server on this machine. May hold a password: never to be logged."""
        return self.url.get_secret_value() if self.url is not None else "redis://127.0.0.1:6379/0"

    def at(self, url: str) -> Self:
        """The same settings for a server at `url`."""
        return self.model_copy(update={"url": SecretStr(url)})
