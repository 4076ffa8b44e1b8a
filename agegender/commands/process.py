"""How a command starts: settings, logs, and the times among its options."""

from __future__ import annotations

from agegender.shared.errors import SettingsError
from agegender.shared.process.logs import set_up_logs
from agegender.shared.process.settings import ProcessSettings
from agegender.shared.times import parse_time_s, parse_zone


def start_process(log_level: str = "warning") -> ProcessSettings:
    """Sets up the logs by the settings of the environment, and returns these settings.

    Args:
        log_level: what is logged where AGEGENDER_LOG_LEVEL is not set.
    """
    process = ProcessSettings.load()
    set_up_logs(process.log_level or log_level, process.log_format or "text")
    return process


def time_option(option: str, text: str, tz: str | None, now_s: float) -> float:
    """The time that an option means, in seconds since 1970 UTC.

    Args:
        option: its name, for the error.
        text: see `times.EXPECTED`.
        tz: the name of the time zone of dates; None: local time.
        now_s: the present, in seconds since 1970 UTC.

    Raises:
        SettingsError: `text` is no time, or `tz` no zone.
    """
    try:
        zone = None if tz is None else parse_zone(tz)
    except ValueError as error:
        raise SettingsError(f"--tz: {error}") from None
    try:
        return parse_time_s(text, now_s, zone)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None
