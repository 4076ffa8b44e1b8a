"""What happens to a message that can never be processed."""

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
"""What every letter begins with; the headers as received come after."""

_HEADER_BYTES = 16  # what a header takes beyond its name and its data, at most


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A bad message: why it is bad, who found it, where it was read, and its bytes as received."""

    reason: str
    service: str
    origin: str
    raw: Encoded

    @classmethod
    def of(cls, delivery: Delivery[object], reason: str, service: str) -> DeadLetter:
        """The letter for a delivery that `service` could not process."""
        return cls(reason, service, delivery.origin, delivery.raw or Encoded(b"", b"", ()))

    def encoded(self, *, keep_value: bool) -> Encoded:
        """The message that is written: key and headers as received; before them why, by whom and where from.

        What a message must not carry on is left out: the value, which may be the picture of a person, unless
        `keep_value`; and everything as received where it is larger than any message may be.
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
    """Refuses to go on when more than `most` of the last `among` messages were bad.

    Then it is rather this worker that is broken, and it must not empty a topic into the dead letters.
    """

    def __init__(self, most: int = 100, among: int = 1_000) -> None:
        self._most = most
        self._recent: deque[bool] = deque(maxlen=among)

    def check(self, good: int, bad: Sequence[str]) -> None:
        """Takes the next batch into account: how many were good, and the reasons of the bad ones.

        Raises:
            TooManyBadMessages: the limit is passed. The batch is then neither written nor committed.
        """
        self._recent.extend([False] * good + [True] * len(bad))
        if sum(self._recent) > self._most:
            raise TooManyBadMessages(
                f"{sum(self._recent)} of the last {len(self._recent)} messages were bad, more than "
                f"{self._most}; the last because: {bad[-1]}. Check that all services have the same version"
            )


class LoggedDeadLetters:
    """Dead letters inside one process: the runner's log line and counter are all that is kept of them."""

    def open(self) -> None:
        """Nothing to connect to."""

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """Nothing to keep: the pictures in them go nowhere."""

    def close(self) -> None:
        """Nothing to close."""
