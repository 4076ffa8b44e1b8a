"""The settings of a camera, from a file, a command line or Kafka."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import quote, unquote

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from agegender.shared.errors import SettingsError
from agegender.shared.messages.pipeline import CameraId, FacePx, Mode
from agegender.shared.process.secret_file import text_of
from agegender.shared.process.secrets import mask_message, remember_secret, remember_secrets_in

_WEBCAM = re.compile(r"^webcam:(?P<index>\d{1,3})$", re.IGNORECASE)
_RTSP = re.compile(r"^(?P<scheme>rtsps?)://(?P<rest>.+)$", re.IGNORECASE)
_ZONE = r"(?:%(?:25)?[A-Za-z0-9._~-]+)?"  # RFC 6874: the network card of a link-local address
_HOST = rf"(?P<host>\[[0-9A-Fa-f:.]+{_ZONE}\]|[^\s@:/?#\[\]]+)(?::(?P<port>\d{{1,5}}))?(?P<path>[/?].*)?"
_PLAIN_LOGIN = re.compile(rf"^(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?{_HOST}$")
_ANY_LOGIN = re.compile(rf"^(?P<user>[^:@/]*):(?P<password>.*)@{_HOST}$")

# PyYAML raises other errors than its own for invalid dates and mistyped tags.
_YAML_ERRORS = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)

SourceKind = Literal["rtsp", "rtsps", "webcam", "file"]
SOURCE_KINDS: tuple[SourceKind, ...] = get_args(SourceKind)


class Camera(BaseModel):
    """One camera, or a file that is read like a camera.

    `source` is an RTSP URL, `webcam:0` for a device of this machine, or the path of a video file or of a
    folder of pictures. A login in the URL is removed from it at once, so no log and no metric ever shows it.
    Passwords with special characters are safest in a file or an environment variable.
    """

    # The input of a failed validation may hold a password, and the text of the error would repeat it.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    id: CameraId
    source: Annotated[str, Field(min_length=1)]
    username: str | None = None
    password: SecretStr | None = None
    password_env: str | None = None
    """The environment variable that holds the password."""
    password_file: Path | None = None
    """The file that holds the password."""
    fps: Annotated[float, Field(gt=0, le=60)] | None = None
    """Frames per second to take; None: the setting of the worker. Of a folder, all pictures are taken."""
    mode: Mode | None = None
    """None: `complete` for a file or a folder, `live` for all others."""
    smallest_face_px: FacePx | None = None
    """The height of the smallest face to find, in pixels of the frame. The larger it is, the fewer pixels are
    searched. None: the setting of detect."""

    @model_validator(mode="before")
    @classmethod
    def _take_login_out_of_the_url(cls, data: Any) -> Any:  # noqa: ANN401
        if not isinstance(data, Mapping) or not isinstance(data.get("source"), str):
            return data
        source, username, password = split_login(data["source"].strip())
        found = {"source": source}
        if username is not None:
            found["username"] = username
        if password is not None:
            found["password"] = password
        if twice := found.keys() & {name for name in ("username", "password") if data.get(name) is not None}:
            raise ValueError(f"{' and '.join(sorted(twice))} given in the URL and as a field: keep one")
        return {**data, **found}

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        given = [p for p in (self.password, self.password_env, self.password_file) if p is not None]
        if len(given) > 1:
            raise ValueError("give one of password, password_env and password_file")
        if given and self.username is None:
            raise ValueError("a password needs a username")
        if self.username is not None and not self.is_rtsp:
            raise ValueError("only an rtsp:// source takes a username")
        if self.password is not None:
            _keep_secret(self.password.get_secret_value())
        return self

    @property
    def kind(self) -> SourceKind:
        """The kind of the source: network, device of this machine, or file."""
        if url := _RTSP.match(self.source):
            return "rtsps" if url["scheme"].lower() == "rtsps" else "rtsp"
        return "file" if self.webcam_index is None else "webcam"

    @property
    def is_rtsp(self) -> bool:
        """Whether frames arrive over the network."""
        return _RTSP.match(self.source) is not None

    @property
    def webcam_index(self) -> int | None:
        """The number of a device of this machine; None for other sources."""
        webcam = _WEBCAM.match(self.source)
        return None if webcam is None else int(webcam["index"])

    @property
    def is_live(self) -> bool:
        """Whether frames arrive in real time, not on request."""
        return self.is_rtsp or self.webcam_index is not None

    @property
    def is_complete(self) -> bool:
        """Whether no frame may be dropped. It is then read only as fast as frames are processed."""
        return self.mode == "complete" or (self.mode is None and not self.is_live)

    def url_with_login(self) -> str:
        """The RTSP URL to open, with the login percent-encoded. Never log it.

        The password's file is read at each call, because the password may be rotated.

        Raises:
            SettingsError: the password's variable is not set or its file cannot be read.
        """
        if self.username is None:
            return self.source
        password = self._read_password()
        _keep_secret(password)
        scheme, rest = self.source.split("://", 1)
        return f"{scheme}://{quote(self.username, safe='')}:{quote(password, safe='')}@{rest}"

    def _read_password(self) -> str:
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if value is None:
                raise SettingsError(f"camera {self.id}: environment variable {self.password_env} is not set")
            return value
        if self.password_file is not None:
            try:
                return text_of(self.password_file)
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"camera {self.id}: cannot read {str(self.password_file)!r}: {_why(error)}"
                ) from None
        return ""


def split_login(source: str) -> tuple[str, str | None, str | None]:
    """An RTSP URL without its login, the user and the password. Paths and webcams are returned unchanged.

    The login may be percent-encoded. A login typed by hand may hold `@:/%#` too. If the plain reading gives
    no valid host and port, the login reaches to the last `@` that gives them.

    Raises:
        ValueError: the source is malformed. The text does not repeat it, because it may hold a password.
    """
    url = _RTSP.match(source)
    if url is None:
        if "://" in source:
            raise ValueError("expected rtsp:// or rtsps://, a webcam or the path of a file or folder")
        if source.lower().startswith("webcam:") and not _WEBCAM.match(source):
            raise ValueError("expected the number of a webcam, as in webcam:0")
        return source, None, None
    parts = _PLAIN_LOGIN.match(url["rest"]) or _ANY_LOGIN.match(url["rest"])
    if parts is None or not 1 <= int(parts["port"] or 554) <= 65_535:
        raise ValueError("expected rtsp://host:port/path, the login as user:password@ before the host")
    if _may_be_cut_short(parts):
        raise ValueError(
            "cannot tell where the login ends: percent-encode user and password (/ is %2F, @ is %40), or "
            "give them as username and password_env. An @ in the path is %40 too"
        )
    host = (
        parts["host"].replace("%25", "%")
        + (f":{parts['port']}" if parts["port"] else "")
        + (parts["path"] or "")
    )
    username = None if parts["user"] is None else unquote(parts["user"])
    password = None if parts["password"] is None else unquote(parts["password"])
    return f"{url['scheme'].lower()}://{host}", username, password


def _may_be_cut_short(parts: re.Match[str]) -> bool:
    """Whether host and port may really be a user and the first digits of a password: viewer:12/34@host."""
    if parts["port"] is None or parts["password"] is not None or "@" not in (parts["path"] or ""):
        return False
    is_plain_name = "." not in parts["host"] and not parts["host"].startswith("[")
    return is_plain_name or parts["user"] is not None


def camera_of(fields: Mapping[str, object]) -> Camera:
    """A camera from the fields that a person gave.

    Raises:
        SettingsError: a field is malformed; the text holds no login.
    """
    return _validated(dict(fields), f"camera {fields.get('id')}")


def cameras_from_sources(sources: Iterable[str]) -> list[Camera]:
    """Cameras named `cam1`, `cam2`, … for the sources on a command line.

    Raises:
        SettingsError: a source is malformed. The text gives its number, without the login.
    """
    return [_validated({"id": f"cam{n}", "source": s}, f"camera {n}") for n, s in enumerate(sources, start=1)]


def check_allowed(cameras: Iterable[Camera], allowed: Collection[SourceKind]) -> None:
    """Raises SettingsError with the name of each camera if its kind of source is not `allowed`."""
    refused = [f"{camera.id} ({camera.kind})" for camera in cameras if camera.kind not in allowed]
    if refused:
        kinds = ",".join(kind for kind in SOURCE_KINDS if kind in allowed)
        raise SettingsError(
            f"INGEST_ALLOWED_SOURCES={kinds} does not allow the sources of {', '.join(refused)}"
        )


def load_cameras(path: Path) -> list[Camera]:
    """The cameras of a YAML file: a list under `cameras`, each with the fields of `Camera`.

    Raises:
        SettingsError: the file is unreadable, holds no such list, or names a camera twice.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"cannot read {str(path)!r}: {_why(error)}") from None
    try:
        data = yaml.safe_load(text)
    except _YAML_ERRORS as error:
        mark = getattr(error, "problem_mark", None)
        line = f" near line {mark.line + 1}" if mark else ""
        raise SettingsError(f"{str(path)!r} is not valid YAML{line}") from None
    entries = data.get("cameras") if isinstance(data, Mapping) else None
    if not isinstance(entries, list) or not entries:
        raise SettingsError(f"{str(path)!r}: expected a list of cameras under the key `cameras`")
    cameras = [_validated(entry, f"{str(path)!r}, camera {n}") for n, entry in enumerate(entries, start=1)]
    seen: set[str] = set()
    for camera in cameras:
        if camera.id in seen:
            raise SettingsError(f"{str(path)!r}: camera id {camera.id!r} is given twice")
        seen.add(camera.id)
    return cameras


def _validated(entry: object, label: str) -> Camera:
    try:
        camera = Camera.model_validate(entry)
    except ValidationError as error:
        raise SettingsError(mask_message(f"{label}: {first_mistake(error, Camera.model_fields)}")) from None
    if camera.is_rtsp:
        remember_secrets_in(camera.source)
    return camera


def first_mistake(error: ValidationError, known: Collection[str] = ()) -> str:
    """`field: problem`, without the input, which may hold a password.

    Args:
        known: the names of all fields. An unknown name that is close to one of them is likely a slip.
    """
    mistakes = error.errors(include_url=False, include_input=False)
    # A slip in a name also makes its field missing, so the slip is told first.
    first = next((one for one in mistakes if one["type"] == "extra_forbidden"), mistakes[0])
    field = ".".join(str(part) for part in first["loc"])
    why = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field, known, n=1)
        why = f"unknown: did you mean {close[0]}?" if close else f"unknown: expected {', '.join(known)}"
    return f"{field}: {why}" if field else why


def _keep_secret(password: str) -> None:
    remember_secret(password)
    remember_secret(quote(password, safe=""))


def _why(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return str(error.strerror)
    return "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
