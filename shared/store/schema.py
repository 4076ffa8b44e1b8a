"""The number of the layout of the keys in Redis, so that no version misreads what another one wrote."""

from __future__ import annotations

from typing import cast

import redis

from agegender.shared.errors import SchemaMismatch
from agegender.shared.store.counts import LONGEST_KEPT_S
from agegender.shared.store.keys import CAMERAS_KEY, SCHEMA_KEY

SCHEMA = 2
"""Raise it when a key or a field changes its name or meaning. 1 is the layout without this key."""


def check_schema(client: redis.Redis) -> None:
    """Checks that the store is empty or has this layout. Takes one or two commands and changes nothing.

    Raises:
        SchemaMismatch: the store has another layout; the text says what to do.
        RedisError: Redis is away or refuses.
    """
    found = cast("bytes | None", client.get(SCHEMA_KEY))
    # The list of cameras is in every layout, and outlives all other keys of a camera.
    if found is None and not client.exists(CAMERAS_KEY):
        return
    text = "1" if found is None else found.decode(errors="replace")
    if text != str(SCHEMA):
        raise SchemaMismatch(
            f"Redis: expected keys of schema {SCHEMA}, got keys of schema {text[:20]} from another version: "
            "start afresh and delete the keys agegender:*, or set REDIS_URL to another database"
        )


def claim_schema(client: redis.Redis) -> None:
    """Notes the layout in an empty store, and checks that of any other.

    Raises:
        SchemaMismatch: see `check_schema`.
        RedisError: Redis is away or refuses.
    """
    check_schema(client)
    # Another version may have come first: then its number stays, and the check says so.
    client.set(SCHEMA_KEY, SCHEMA, nx=True, ex=LONGEST_KEPT_S)
    check_schema(client)
