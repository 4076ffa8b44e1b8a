"""The settings of the API."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, SecretStr

from agegender.shared.errors import SettingsError
from agegender.shared.process.settings import Settings
from agegender.shared.store import Period
from agegender.shared.store.small_counts import NOTHING_LEFT_OUT, checked_least


class ApiSettings(Settings):
    """Where the API listens, who may ask, and how much at a time."""

    prefix: ClassVar[str] = "API_"
    # Too common a name to own: Kubernetes sets API_SERVICE_HOST for a service called api.
    shares_prefix: ClassVar[bool] = True

    host: str = "127.0.0.1"
    """0.0.0.0 opens the API to the network, which needs a token."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0: any free port."""
    token: Annotated[SecretStr, Field(min_length=16, max_length=512)] | None = None
    """Whoever asks has to send it: `Authorization: Bearer TOKEN`. None: nobody is asked for one."""
    without_token: bool = False
    """Allows to listen beyond this machine without a token: something in front asks who comes."""
    allow_origins: Annotated[str, Field(pattern=r"^(https?://[^\s/,]+( https?://[^\s/,]+)*)?$")] = ""
    """Other web pages that may read the API in a browser, as https://host[:port], with spaces between."""
    event_clients: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Most readers of /v1/events at a time."""
    threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Most requests that read Redis at a time; the others wait."""

    least_count: Annotated[int, AfterValidator(checked_least)] = NOTHING_LEFT_OUT
    """The smallest number of people given out. Above 1 nothing is said of single people, and smaller counts
    are added up or left out; 2 would hide nothing."""
    counts_by: Period = "hour"
    """The only step of counts that is given out where `least_count` is above 1: of two, one can be subtracted
    from the other."""

    @property
    def gives_single_visits(self) -> bool:
        """Whether anything but counts is given out of people."""
        return self.least_count == NOTHING_LEFT_OUT

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def cautions(self) -> Sequence[str]:
        """See `Settings.cautions`."""
        if self.is_local or self.token is not None or not self.without_token:
            return ()
        return (f"API_WITHOUT_TOKEN: whoever reaches {self.host}:{self.port} can read who was there",)

    def check_who_may_ask(self) -> None:
        """Raises SettingsError where anybody on the network could read who was there."""
        if not self.is_local and self.token is None and not self.without_token:
            raise SettingsError(
                f"API_HOST={self.host} opens the API to the network, where anybody could read who was there: "
                "set API_TOKEN to 16 or more random characters or API_TOKEN_FILE to a file with them, or "
                "API_WITHOUT_TOKEN=true where something in front already asks who comes"
            )
