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
    """Where the API listens, what access needs, and its limits."""

    prefix: ClassVar[str] = "API_"
    # Other software uses API_ as well: Kubernetes sets API_SERVICE_HOST for a service called api.
    shares_prefix: ClassVar[bool] = True

    host: str = "127.0.0.1"
    """0.0.0.0 opens the API to the network, which requires a token."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0: any free port."""
    token: Annotated[SecretStr, Field(min_length=16, max_length=512)] | None = None
    """Clients must send it: `Authorization: Bearer TOKEN`. None: no token is needed."""
    without_token: bool = False
    """Allows the network access without a token, because a proxy in front checks it."""
    allow_origins: Annotated[str, Field(pattern=r"^(https?://[^\s/,]+( https?://[^\s/,]+)*)?$")] = ""
    """Other web pages that may read the API in a browser: https://host[:port], separated by spaces."""
    event_clients: Annotated[int, Field(ge=1, le=10_000)] = 100
    """The most clients of /v1/events at a time."""
    threads: Annotated[int, Field(ge=1, le=64)] = 8
    """The most requests that read Redis at a time; others wait."""

    least_count: Annotated[int, AfterValidator(checked_least)] = NOTHING_LEFT_OUT
    """The smallest count to publish. Above 1, single visits are not published, and smaller counts are added
    up or left out. 2 would hide nothing."""
    counts_by: Period = "hour"
    """The only period of counts to publish if `least_count` is above 1. With two periods, one could be
    subtracted from the other."""

    @property
    def gives_single_visits(self) -> bool:
        """Whether single visits are published, not only counts."""
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
        return (f"API_WITHOUT_TOKEN: every client that reaches {self.host}:{self.port} can read all visits",)

    def check_access(self) -> None:
        """Raises SettingsError if the network could read all visits without a token."""
        if not self.is_local and self.token is None and not self.without_token:
            raise SettingsError(
                f"API_HOST={self.host} opens the API to the network, where anyone could read all visits: "
                "set API_TOKEN to 16 or more random characters or API_TOKEN_FILE to a file with them, or "
                "API_WITHOUT_TOKEN=true if a proxy in front checks access"
            )
