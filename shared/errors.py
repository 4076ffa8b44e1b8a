"""The errors of the project.

::

    AgeGenderError
    ├── SettingsError      a setting is unknown, malformed or missing; the process does not start
    ├── BadMessage         this message can never be processed; it goes to the dead letters
    ├── NotNow             a server is away or full; wait, commit nothing, try the same again
    │   └── NewerSchema    the message waits for a newer version of the services
    ├── TooManyBadMessages more bad messages than a healthy topic holds; the process ends
    └── MissingExtra       an optional package is needed and not installed

Anything else that is raised inside a service ends its process loudly.
"""

from __future__ import annotations


class AgeGenderError(Exception):
    """Base of every error that this project raises on purpose."""


class SettingsError(AgeGenderError):
    """A setting is unknown, malformed or missing. The text names it and says what was expected."""


class BadMessage(AgeGenderError):
    """A message that will never be processed, however often it is tried. The text is the reason."""


class NotNow(AgeGenderError):
    """What is needed is away or full at the moment; the same call may succeed later."""


class NewerSchema(NotNow):
    """A message has a later version of a layout than this process knows: an upgraded one can read it."""


class TooManyBadMessages(AgeGenderError):
    """So many messages were bad that this worker, rather than the messages, is likely to be broken."""


class MissingExtra(AgeGenderError):
    """An optional package is not installed. The text says how to install it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: pip install 'agegender[{extra}]'")
