"""The errors of the project.

::

    AgeGenderError
    ├── SettingsError      a setting is unknown, malformed or missing; the process does not start
    ├── BadMessage         this message can never be processed; it becomes a dead letter
    ├── NotNow             a server is down or full; wait, commit nothing, try the same again
    │   └── SchemaMismatch the message has the layout of another version of the services
    ├── TooManyBadMessages more bad messages than a healthy topic holds; the process ends
    └── MissingExtra       an optional package is needed and not installed

Any other exception inside a service ends its process.
"""

from __future__ import annotations

EXIT_BAD_SETTINGS = 2
"""The exit status of a process that a setting or an option keeps from starting."""


class AgeGenderError(Exception):
    """Base of every error that this project raises on purpose."""


class SettingsError(AgeGenderError):
    """A setting is unknown, malformed or missing. The text names it and says what was expected."""


class PortTaken(SettingsError):
    """Another program listens at the port. The text says which setting names another one."""


class BadMessage(AgeGenderError):
    """A message that can never be processed. The text is the reason."""


class NotNow(AgeGenderError):
    """A server is down or full at the moment; the same call may succeed later."""


class SchemaMismatch(NotNow):
    """A message has the layout of another version. The text says what to do: upgrade, or start afresh."""


class TooManyBadMessages(AgeGenderError):
    """So many messages were bad that this worker itself is probably broken."""


class MissingExtra(AgeGenderError):
    """An optional package is not installed. The text says how to install it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'agegender[{extra}]'")
