"""Keeps passwords out of logs, errors and everything else that is shown.

A value from outside, such as a URL or the text of a library's error, is masked by `mask` where it is put
into a sentence. Whole sentences pass `mask_message`. It finds what was missed there, and leaves ordinary
words, because a password may be one: `the user or the password is wrong`.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from urllib.parse import quote, unquote

MASK = "***"

_IN_URL = re.compile(r"://[^\s\"'<>]+")
_PLACEHOLDER = re.compile(r"://\[user:password@\]host\b")  # in our help texts about URLs

_NAMES = (
    "pas|pass|passwd|password|passcode|passphrase|pwd|pswd|psw|pw|"
    "secret|token|auth|key|credentials?|signature|sig"
)
_NEXT = r"_[A-Za-z0-9]+="  # as recorders write it: user=…_password=…_channel=1
_NAME = rf"(?P<name>(?:{_NAMES})\d{{0,3}})=(?!{_NEXT})"
_NAMED = re.compile(rf"{_NAME}(?P<value>[^&;]+)", re.IGNORECASE)
_NAMED_SHORTEST = re.compile(rf"{_NAME}[^&;]+?(?={_NEXT}|[&;]|\Z)", re.IGNORECASE)
_ORDINARY = re.compile(r"[A-Za-z]+|\d+")
_MAY_END = re.compile(rf"[/?#]|{_NEXT}")


class _Known:
    values: frozenset[str] = frozenset()
    lock = threading.Lock()


def remember_secret(value: str) -> None:
    """Makes `mask` hide `value` from now on, also when it is quoted for a URL or by `repr`.

    Values shorter than four characters are ignored, because they would match ordinary text.
    """
    if len(value) >= 4:
        with _Known.lock:
            _Known.values |= {value, quote(value, safe=""), repr(value)[1:-1]}


def secret_name_in(url: str) -> str | None:
    """The name, such as `password`, of a secret in the path or query of a URL; None without one.

    A secret without such a name looks like any other part of a path.
    """
    found = _NAMED.search(url) or _NAMED.search(unquote(url))
    return None if found is None else re.split(r"\W", found.string[: found.end("name")])[-1]


def remember_secrets_in(url: str) -> None:
    """Remembers each value in the path or query that has a name such as `password`.

    `_` and `/` may end a value or belong to it, so every reading is remembered.
    """
    for text in (url, unquote(url)):
        for found in _NAMED.finditer(text):
            value = found["value"]
            for end in (len(value), *(one.start() for one in _MAY_END.finditer(value))):
                remember_secret(value[:end])
                remember_secret(unquote(value[:end]))


def mask_named(url: str) -> str:
    """`url` without the values in path or query that have a name such as `password`."""
    return _NAMED_SHORTEST.sub(rf"\g<name>={MASK}", url)


def mask(value: str) -> str:
    """A value from outside without remembered secrets, and without the logins and named secrets of URLs.

    A login reaches to the last `@` before a space or a quote, because passwords typed by hand may hold any
    character.
    """
    return _without(_Known.values, value)


def mask_message(text: str) -> str:
    """A whole sentence as `mask` has it, but with its ordinary words, also if one of them is a secret."""
    return _without((value for value in _Known.values if not _ORDINARY.fullmatch(value)), text)


def _without(secrets: Iterable[str], text: str) -> str:
    # Secrets go first, because their characters may end a URL too early.
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, MASK)
    return _IN_URL.sub(lambda url: _mask_url(url[0]), text)


def _mask_url(url: str) -> str:
    if "@" in url and not _PLACEHOLDER.match(url):
        url = f"://{MASK}@{url.rpartition('@')[2]}"
    return mask_named(url)
