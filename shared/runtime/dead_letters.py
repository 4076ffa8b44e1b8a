"""Messages that can never be processed, kept with the reason."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from agegender.shared.errors import TooManyBadMessages
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES, Encoded
from agegender.shared.runtime.transport import Delivery

log = logging.getLogger(__name__)

REASON_HEADER = "dead-letter.reason"
SERVICE_HEADER = "dead-letter.service"
ORIGIN_HEADER = "dead-letter.origin"
VALUE_BYTES_HEADER = "dead-letter.value-bytes"
ABOUT_HEADERS = (REASON_HEADER, SERVICE_HEADER, ORIGIN_HEADER, VALUE_BYTES_HEADER)
"""The first headers of every dead letter; the headers as received follow."""

_HEADER_BYTES = 16  # the most that Kafka adds to the name and data of a header


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A bad message: the reason, the service that found it, its place, and its bytes as received."""

    reason: str
    service: str
    origin: str
    raw: Encoded

    @classmethod
    def of(cls, delivery: Delivery[object], reason: str, service: str) -> DeadLetter:
        """The dead letter of a delivery that `service` could not process."""
        return cls(reason, service, delivery.origin, delivery.raw or Encoded(b"", b"", ()))

    def encoded(self, *, keep_value: bool) -> Encoded:
        """The message to write: the key as received, then reason, service and origin, then other headers.

        The value may be the picture of a person, so it is left out unless `keep_value`. If the result would
        be larger than any message may be, headers and value as received are left out too.
        """
        about = {
            REASON_HEADER: self.reason,
            SERVICE_HEADER: self.service,
            ORIGIN_HEADER: self.origin,
            VALUE_BYTES_HEADER: str(len(self.raw.value)),
        }
        headers = tuple((name, text.encode(errors="replace")) for name, text in about.items())
        full = Encoded(self.raw.key, self.raw.value if keep_value else b"", headers + self.raw.headers)
        if full.size_bytes + _HEADER_BYTES * len(full.headers) <= MAX_MESSAGE_BYTES:
            return full
        return Encoded(self.raw.key[:100], b"", headers)


class DeadLetterLimit:
    """Stops the worker when more than `most` of the last `among` messages were bad.

    Then the worker itself is probably broken, and must not turn a whole topic into dead letters.
    """

    def __init__(self, most: int = 100, among: int = 1_000) -> None:
        self._most = most
        self._recent: deque[bool] = deque(maxlen=among)

    def check(self, good: int, bad: Sequence[str]) -> None:
        """Counts the next batch: the number of good messages, and the reasons of the bad ones.

        Raises:
            TooManyBadMessages: the limit is exceeded. The batch must be neither written nor committed.
        """
        self._recent.extend([False] * good + [True] * len(bad))
        if sum(self._recent) > self._most:
            raise TooManyBadMessages(
                f"{sum(self._recent)} of the last {len(self._recent)} messages were bad, more than "
                f"{self._most}; the last one: {bad[-1]}. Check that all services have the same version"
            )


class LoggedDeadLetters:
    """Dead letters inside one process. Only the log line and the counter of the runner remain."""

    def open(self) -> None:
        """Nothing to connect to."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Keeps nothing, so pictures in the letters go nowhere."""

    def close(self) -> None:
        """Nothing to close."""
