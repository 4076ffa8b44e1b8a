"""Structured logs with masked secrets: a JSON object per line, or short lines for a terminal."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Mapping
from typing import Literal

from agegender.shared.process.secrets import mask, mask_message

LogFormat = Literal["json", "text"]

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}


def _plain(value: object) -> object:
    # JSON has no infinity and no NaN.
    is_number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    return value if value is None or is_number else mask_message(str(value))


def _event(record: logging.LogRecord) -> str:
    """The sentence of the record; the values in it are masked, its words are not."""
    if not record.args:
        return mask_message(record.getMessage())
    args = record.args
    shown = logging.makeLogRecord({"msg": record.msg})
    if isinstance(args, Mapping):
        shown.args = {name: _masked(value) for name, value in args.items()}
    else:
        shown.args = tuple(_masked(value) for value in args)
    return mask_message(shown.getMessage())


def _masked(value: object) -> object:
    return value if value is None or isinstance(value, int | float) else mask(str(value))


class JsonFormatter(logging.Formatter):
    """A JSON object per line: time (UTC), level, logger, event, and the fields given with `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as masked JSON."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        entry: dict[str, object] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": _event(record),
            **_extra(record),
        }
        if record.exc_info:
            entry["exception"] = mask(self.formatException(record.exc_info))
        # Masked before escaping, because escaping changes a quote in a password.
        return json.dumps({name: _plain(value) for name, value in entry.items()})


class TextFormatter(logging.Formatter):
    """`12:30:01 warning  detect: event  key=value`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one masked line, followed by the traceback if there is one."""
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = "".join(f"  {name}={_plain(value)}" for name, value in _extra(record).items())
        line = f"{stamp} {record.levelname.lower():<8} {record.name}: {_event(record)}{fields}"
        return line + "\n" + mask(self.formatException(record.exc_info)) if record.exc_info else line


class _StandardError(logging.Handler):
    """Writes to the current standard error, which a live table replaces for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record as a line."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001  (as the standard handlers do)
            self.handleError(record)


def set_up_logs(level: str, log_format: LogFormat) -> None:
    """Sends all logs of the process to standard error, masked, in one format."""
    handler = _StandardError()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # The client logs every refused connection of its retry loop. The runner logs it once, with the reason.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
